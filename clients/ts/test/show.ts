// A show on the watch page, told by the client (internal/e2e/tsclient_test.go):
//
//	node show.js URL KEY SECRET ROOM rename "another title"
//	node show.js URL KEY SECRET ROOM end
import { createRoomcast } from '@roomcast/client';

const [url = '', key = '', secret = '', id = '', what = '', title = ''] = process.argv.slice(2);
const api = createRoomcast({ url, apiKey: { key, secret } });
const params = { path: { id } };

switch (what) {
  case 'rename':
    await api.PATCH('/v2/apps/me/video-rooms/{id}', { params, body: { title } });
    break;
  case 'end':
    await api.POST('/v2/apps/me/video-rooms/{id}/end', { params, body: { force: true } });
    break;
  default:
    throw new Error(`what is ${what}?`);
}
const { data: room } = await api.GET('/v2/apps/me/video-rooms/{id}', { params });
console.log(room!.videoRoomState, room!.title);
