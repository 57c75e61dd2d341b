/** How calls are repeated. */
export interface RetryOptions {
  /** How often a call is sent at most; default 5, 1 = never again. */
  tries?: number;
  /** Milliseconds after which one try is given up; default 30,000. */
  timeoutMs?: number;
  /** Sends one request; default: the global fetch. */
  fetch?: typeof fetch;
  /** Waits; default: a timer. */
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

const FIRST_WAIT_MS = 200; // doubles with every try
const LONGEST_WAIT_MS = 10_000;
const TOO_LONG_MS = 60_000; // a Retry-After with which a call is given up at once

/**
 * retrying is fetch with tries: a POST gets an Idempotency-Key that all of its
 * tries share, so that it takes effect once however many answers are lost.
 */
export function retrying(o: RetryOptions): (request: Request) => Promise<Response> {
  const { tries = 5, timeoutMs = 30_000, wait = timer } = o;
  return async (request) => {
    if (request.method === 'POST' && !request.headers.has('Idempotency-Key')) {
      request.headers.set('Idempotency-Key', newKey());
    }
    // An answer was lost, so that nobody knows whether an earlier try took effect.
    let unsure = false;
    for (let n = 1; ; n++) {
      let after: number | undefined;
      try {
        const whole = await answer(o.fetch ?? fetch, request, timeoutMs);
        if (unsure && request.method === 'DELETE' && whole.status === 404) return new Response(null, { status: 204 });
        after = await repeatAfter(whole);
        if (after === undefined || n >= tries) return whole;
      } catch (err) {
        // A guarded PATCH would be refused where its first try took effect.
        if (request.signal.aborted || n >= tries || request.headers.has('If-Match')) throw err;
        unsure = true;
        after = 0;
      }
      await wait(after + Math.random() * Math.min(FIRST_WAIT_MS * 2 ** (n - 1), LONGEST_WAIT_MS), request.signal);
    }
  };
}

/**
 * A new Idempotency-Key: no two alike, and no secret. Node 18 has no global
 * crypto, and a page without TLS has no randomUUID.
 */
function newKey(): string {
  const part = () => Math.floor(Math.random() * 2 ** 32).toString(16).padStart(8, '0');
  return globalThis.crypto?.randomUUID?.() ?? part() + part() + part() + part();
}

/**
 * answer is one try, given up after ms or with the request's own signal. Both
 * in one signal by hand: AbortSignal.any is newer than Node 18.
 */
async function answer(send: typeof fetch, request: Request, ms: number): Promise<Response> {
  const limit = new AbortController();
  const stop = () => limit.abort(request.signal.reason);
  const timeout = setTimeout(() => limit.abort(new DOMException(`no answer within ${ms} ms`, 'TimeoutError')), ms);
  request.signal.addEventListener('abort', stop);
  if (request.signal.aborted) stop();
  try {
    const response = await send(new Request(request.clone(), { signal: limit.signal }));
    // A lost answer may also break in the middle: read it whole, here.
    const body = response.status === 204 ? null : await response.arrayBuffer();
    return new Response(body, response);
  } finally {
    clearTimeout(timeout);
    request.signal.removeEventListener('abort', stop);
  }
}

/** repeatAfter is when to try again, in ms; undefined = the answer is final. */
async function repeatAfter(response: Response): Promise<number | undefined> {
  const again = [408, 429, 502, 503, 504].includes(response.status) || (response.status === 409 && (await isRunning(response)));
  const ms = retryAfter(response.headers);
  return again && ms <= TOO_LONG_MS ? ms : undefined;
}

async function isRunning(response: Response): Promise<boolean> {
  const problem: unknown = await response
    .clone()
    .json()
    .catch(() => null);
  return (problem as { errorCode?: string } | null)?.errorCode === 'CALL_STILL_RUNNING';
}

/** Both forms of RFC 9110, 10.2.3; a date counts from the answer's own. */
function retryAfter(headers: Headers): number {
  const value = headers.get('Retry-After') ?? '';
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  return Math.max(0, Date.parse(value) - Date.parse(headers.get('Date') ?? '')) || 0;
}

async function timer(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const stop = () => {
      clearTimeout(timeout);
      reject(signal.reason);
    };
    const timeout = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
  });
}
