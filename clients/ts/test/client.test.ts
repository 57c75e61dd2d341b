// Runs against a roomcast: ROOMCAST_URL with ROOMCAST_API_KEY and
// ROOMCAST_API_SECRET, and ROOMCAST_LOSSY_URL, a proxy before it that loses the
// first two answers of every three (internal/e2e/tsclient_test.go).
import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';

import { createRoomcast, hasCode, RoomcastError, Webhook, WebhookVerificationError, type RoomcastOptions } from '@roomcast/client';

const url = process.env.ROOMCAST_URL!;
const apiKey = { key: process.env.ROOMCAST_API_KEY!, secret: process.env.ROOMCAST_API_SECRET! };
const scheduledAt = '2030-01-01T00:00:00Z';

function client(options: Partial<RoomcastOptions> = {}) {
  return createRoomcast({ url, apiKey, ...options });
}

/** first answers the first requests as told, and sends the others to roomcast. */
function first(...answers: Response[]) {
  const sent: Request[] = [];
  const send: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    sent.push(request.clone());
    return answers.shift() ?? fetch(request);
  };
  return { sent, fetch: send };
}

function problem(status: number, errorCode: string, headers: Record<string, string> = {}) {
  return new Response(JSON.stringify({ errorCode, status }), { status, headers });
}

test('whatever answers are lost, a room is made once and a deletion is one', async () => {
  const lossy = client({ url: process.env.ROOMCAST_LOSSY_URL!, wait: async () => {} });
  await lossy.POST('/v2/apps/me/members', { body: { appUserId: 'ts-lost', appUserName: '아리 👋' } });
  const { data: room, response } = await lossy.POST('/v2/apps/me/video-rooms', {
    body: { type: 'BROADCAST_RTMP', appUserId: 'ts-lost', scheduledAt },
  });
  assert.equal(response.status, 201);
  assert.equal(response.headers.get('Idempotent-Replayed'), 'true');
  const { data: rooms } = await lossy.GET('/v2/apps/me/video-rooms', { params: { query: { appUserId: 'ts-lost' } } });
  assert.deepEqual(rooms!.items.map((r) => r.id), [room!.id]);
  const { data: member } = await lossy.GET('/v2/apps/me/members/{appUserId}', { params: { path: { appUserId: 'ts-lost' } } });
  assert.equal(member!.appUserName, '아리 👋');

  const gone = await lossy.DELETE('/v2/apps/me/video-rooms/{id}', { params: { path: { id: room!.id } } });
  assert.equal(gone.response.status, 204);
  await assert.rejects(client().GET('/v2/apps/me/video-rooms/{id}', { params: { path: { id: room!.id } } }), (err) =>
    hasCode(err, 'VIDEO_ROOM_NOT_FOUND'),
  );
});

test('the tries of a POST share one Idempotency-Key; another call has another', async () => {
  const answers = first(problem(503, 'SERVICE_UNAVAILABLE'), problem(409, 'CALL_STILL_RUNNING'));
  const api = client({ fetch: answers.fetch, wait: async () => {} });
  for (const appUserId of ['ts-1', 'ts-2']) await api.POST('/v2/apps/me/members', { body: { appUserId } });
  const keys = answers.sent.map((r) => r.headers.get('Idempotency-Key'));
  assert.equal(keys.length, 4);
  assert.deepEqual(keys.slice(0, 3), [keys[0], keys[0], keys[0]]);
  assert.notEqual(keys[3], keys[0]);
  const own = first();
  await client({ fetch: own.fetch }).POST('/v2/apps/me/members', { body: { appUserId: 'ts-1' }, headers: { 'Idempotency-Key': 'mine' } });
  assert.equal(own.sent[0]!.headers.get('Idempotency-Key'), 'mine');
});

test('Retry-After is kept to, and a long one is not waited for', async () => {
  const waits: number[] = [];
  const wait = async (ms: number) => void waits.push(ms);
  const soon = first(problem(429, 'RATE_LIMITED', { 'Retry-After': '2' }));
  await client({ fetch: soon.fetch, wait }).GET('/v2/apps/me');
  assert.equal(waits.length, 1);
  assert.ok(waits[0]! >= 2000 && waits[0]! < 2300, String(waits[0]));
  const late = first(problem(503, 'SERVICE_UNAVAILABLE', { 'Retry-After': '61' }));
  await assert.rejects(client({ fetch: late.fetch, wait }).GET('/v2/apps/me'), (err) => hasCode(err, 'SERVICE_UNAVAILABLE'));
  assert.equal(late.sent.length, 1);
});

test('what is final is not sent again', async () => {
  const calls = first();
  const api = client({ fetch: calls.fetch });
  await assert.rejects(api.GET('/v2/apps/me/members/{appUserId}', { params: { path: { appUserId: 'nobody' } } }), (err) => {
    assert.ok(err instanceof RoomcastError);
    assert.equal(err.status, 404);
    assert.equal(err.errorCode, 'MEMBER_NOT_FOUND');
    assert.match(err.message, /request req_/);
    return true;
  });
  assert.equal(calls.sent.length, 1);
  const lost: typeof fetch = () => Promise.reject(new TypeError('the line is cut'));
  let tries = 0;
  const guarded = client({ fetch: (...a) => (tries++, lost(...a)), wait: async () => {} });
  await assert.rejects(guarded.PATCH('/v2/apps/me', { body: { name: 'x' }, params: { header: { 'If-Match': '"1"' } } }), /the line is cut/);
  assert.equal(tries, 1);
  await assert.rejects(guarded.GET('/v2/apps/me'), /the line is cut/);
  assert.equal(tries, 6);
});

test('a call ends when its signal does', async () => {
  const stop = new AbortController();
  const api = client({ fetch: first(problem(503, '', { 'Retry-After': '30' })).fetch });
  const call = api.GET('/v2/apps/me', { signal: stop.signal });
  setTimeout(() => stop.abort(new Error('enough')), 50);
  await assert.rejects(call, /enough/);
});

test('a try that is not answered in time is given up', async () => {
  let tries = 0;
  const silent: typeof fetch = (input) =>
    new Promise((_, reject) => {
      tries++;
      const { signal } = input as Request;
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  const api = client({ fetch: silent, timeoutMs: 20, tries: 3, wait: async () => {} });
  await assert.rejects(api.GET('/v2/apps/me'), { name: 'TimeoutError', message: 'no answer within 20 ms' });
  assert.equal(tries, 3);
  const left = AbortSignal.abort(new Error('too late'));
  await assert.rejects(api.GET('/v2/apps/me', { signal: left }), /too late/);
  assert.ok(tries <= 4);
});

test('PATCH merges, null clears, and If-Match guards it', async () => {
  const api = client();
  await api.POST('/v2/apps/me/members', { body: { appUserId: 'ts-patch', customType: 'vip', customData: { a: '1', b: '2' } } });
  const at = { path: { appUserId: 'ts-patch' } };
  const { data, response } = await api.PATCH('/v2/apps/me/members/{appUserId}', { params: at, body: { customType: null, customData: { a: null } } });
  assert.equal(data!.customType, null);
  assert.deepEqual(data!.customData, { b: '2' });
  const etag = response.headers.get('ETag')!;
  await api.PATCH('/v2/apps/me/members/{appUserId}', { params: { ...at, header: { 'If-Match': etag } }, body: { customType: 'x' } });
  await assert.rejects(
    api.PATCH('/v2/apps/me/members/{appUserId}', { params: { ...at, header: { 'If-Match': etag } }, body: { customType: 'y' } }),
    (err) => hasCode(err, 'VERSION_MISMATCH'),
  );
});

test('a member calls with its token', async () => {
  const { data: login } = await client().POST('/v2/apps/me/members/login', { body: { appUserId: 'ts-member' } });
  const own = createRoomcast({ url, token: async () => login!.token });
  const { data: self } = await own.GET('/v2/members/me');
  assert.equal(self!.appUserId, 'ts-member');
  await assert.rejects(own.GET('/v2/apps/me'), (err) => hasCode(err, 'FORBIDDEN'));
});

test('a webhook of roomcast is verified, and nothing else', async () => {
  let arrived: (w: { headers: IncomingHttpHeaders; body: string }) => void;
  const came = new Promise<{ headers: IncomingHttpHeaders; body: string }>((resolve) => (arrived = resolve));
  const receiver = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    res.end();
    arrived({ headers: req.headers, body: Buffer.concat(chunks).toString() });
  });
  await new Promise<void>((listening) => receiver.listen(0, '127.0.0.1', listening));
  try {
    const api = client();
    const { port } = receiver.address() as AddressInfo;
    const { data: endpoint } = await api.POST('/v2/apps/me/webhook-endpoints', {
      body: { url: `http://127.0.0.1:${port}/`, eventTypes: ['video_room.created'] },
    });
    await api.POST('/v2/apps/me/webhook-endpoints/{id}/test', { params: { path: { id: endpoint!.id } } });
    const { headers, body } = await came;

    const webhook = new Webhook(endpoint!.secret);
    const event = webhook.verify(body, headers);
    assert.equal(event.type, 'test');
    assert.equal(event.id, headers['webhook-id']);
    const wrong: [string, IncomingHttpHeaders, Webhook][] = [
      [body + ' ', headers, webhook],
      [body, { ...headers, 'webhook-id': 'evt_other' }, webhook],
      [body, { ...headers, 'webhook-timestamp': String(Math.floor(Date.now() / 1000) - 600) }, webhook],
      [body, { ...headers, 'webhook-signature': undefined }, webhook],
      [body, headers, new Webhook('whsec_' + Buffer.alloc(32).toString('base64'))],
    ];
    for (const [b, h, w] of wrong) assert.throws(() => w.verify(b, h), WebhookVerificationError);
    await api.DELETE('/v2/apps/me/webhook-endpoints/{id}', { params: { path: { id: endpoint!.id } } });
  } finally {
    receiver.close();
  }
});
