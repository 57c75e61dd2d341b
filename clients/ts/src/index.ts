// The roomcast API for TypeScript: typed calls of every operation
// (schema.gen.ts, openapi-fetch), repeated until they are answered without
// taking effect twice (retry.ts), and verified webhooks (webhook.ts).
import createClient, { type Client, type Middleware } from 'openapi-fetch';

import { RoomcastError } from './error.js';
import { retrying, type RetryOptions } from './retry.js';
import type { paths } from './schema.gen.js';

export { RoomcastError, hasCode } from './error.js';
export { Webhook, WebhookVerificationError } from './webhook.js';
export type * from './schema.gen.js';

/** Where roomcast is and who calls. */
export interface RoomcastOptions extends RetryOptions {
  /** Where the API is served: https://live.example.com */
  url: string;
  /** The server API: an app's backend. Never give it to a browser. */
  apiKey?: { key: string; secret: string };
  /** The client API or the operator's: a token, or what answers one. */
  token?: string | (() => string | Promise<string>);
}

export type Roomcast = Client<paths>;

/**
 * createRoomcast makes a client: `await api.POST('/v2/apps/me/video-rooms', { body })`
 * answers `{ data, response }`. An error answer is thrown as a RoomcastError.
 */
export function createRoomcast(options: RoomcastOptions): Roomcast {
  const api = createClient<paths>({ baseUrl: options.url.replace(/\/+$/, ''), fetch: retrying(options) });
  const middleware: Middleware = {
    async onRequest({ request }) {
      const auth = await authorization(options);
      if (auth) request.headers.set('Authorization', auth);
      if (request.method === 'PATCH') request.headers.set('Content-Type', 'application/merge-patch+json');
    },
    async onResponse({ response }) {
      if (!response.ok) throw await RoomcastError.of(response);
    },
  };
  api.use(middleware);
  return api;
}

async function authorization(o: RoomcastOptions): Promise<string | undefined> {
  if (o.apiKey) {
    const bytes = new TextEncoder().encode(`${o.apiKey.key}:${o.apiKey.secret}`);
    return 'Basic ' + btoa(String.fromCharCode(...bytes));
  }
  const token = typeof o.token === 'function' ? await o.token() : o.token;
  return token && `Bearer ${token}`;
}
