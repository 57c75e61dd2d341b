// Goes live with the TypeScript client: makes a member and a room, says where
// to stream to, and starts the room as soon as somebody streams.
//
//	node go-live.js http://127.0.0.1:8080 ak_… secret ada
import { createRoomcast, hasCode } from '@roomcast/client';

const [url = 'http://127.0.0.1:8080', key = '', secret = '', appUserId = 'ada'] = process.argv.slice(2);
const api = createRoomcast({ url, apiKey: { key, secret } });

await api.POST('/v2/apps/me/members', { body: { appUserId } });
const { data: streamKey } = await api.GET('/v2/apps/me/members/{appUserId}/stream-key', { params: { path: { appUserId } } });
console.log(`stream to ${streamKey!.ingestURL}/${streamKey!.streamKey}`);

const { data: room } = await api.POST('/v2/apps/me/video-rooms', {
  body: { type: 'BROADCAST_RTMP', appUserId, title: 'First show', scheduledAt: new Date().toISOString() },
});
for (;;) {
  try {
    const { data: live } = await api.POST('/v2/apps/me/video-rooms/{id}/start', { params: { path: { id: room!.id } } });
    console.log(`${live!.id} is live: ${live!.playback!.hlsURL}`);
    break;
  } catch (err) {
    // Nobody streams yet: everything else is final.
    if (!hasCode(err, 'STREAM_KEY_STATE_NOT_ACTIVE')) throw err;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}
