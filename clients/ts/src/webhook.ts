import { Webhook as StandardWebhook, WebhookVerificationError } from 'standardwebhooks';

import type { Event } from './schema.gen.js';

export { WebhookVerificationError };

/** Verifies what an endpoint of the app receives (Standard Webhooks). */
export class Webhook {
  readonly #verifier: StandardWebhook;

  /** secret is the endpoint's: whsec_… */
  constructor(secret: string) {
    this.#verifier = new StandardWebhook(secret);
  }

  /**
   * verify answers the event if roomcast sent it within the last 5 minutes, and
   * throws a WebhookVerificationError otherwise: answer 401. body is exactly what
   * came; an event can come more than once, its id stays the same.
   */
  verify(body: string, headers: Headers | Record<string, string | string[] | undefined>): Event {
    const named: Record<string, string> = {};
    for (const name of ['webhook-id', 'webhook-timestamp', 'webhook-signature']) {
      const value = headers instanceof Headers ? headers.get(name) : headers[name];
      if (typeof value === 'string') named[name] = value;
    }
    return this.#verifier.verify(body, named) as Event;
  }
}
