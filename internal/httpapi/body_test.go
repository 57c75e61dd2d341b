package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// withBody lists the operations that take one.
func (w *world) withBody() map[string]*huma.Operation {
	list := map[string]*huma.Operation{}
	for pattern, op := range w.ops {
		if op.RequestBody != nil {
			list[pattern] = op
		}
	}
	return list
}

// authFor answers a credential that the operation admits.
func (w *world) authFor(op *huma.Operation, member string) string {
	for s := range op.Security[0] {
		switch side(s) {
		case serverAPI:
			return w.acme.basic()
		case clientAPI:
			return member
		case operatorAPI:
			return "Bearer " + operatorToken
		}
	}
	return ""
}

func TestEveryOperationRefusesBodiesThatAreNotStrictJSON(t *testing.T) {
	w := newWorld(t)
	member := w.login(w.acme, "kim")
	before := w.everything("kim", w.newRoom(w.acme))
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	cases := map[string]struct {
		body, contentType string
		status            int
		code              broadcast.Code
	}{
		"cut off":               {`{"a":`, "application/json", 400, codeMalformedRequest},
		"trailing data":         {`{} {}`, "application/json", 400, codeMalformedRequest},
		"trailing comma":        {`{"a":1,}`, "application/json", 400, codeMalformedRequest},
		"a name twice":          {`{"title":"x","title":"y"}`, "application/json", 400, codeMalformedRequest},
		"an escaped name twice": {`{"title":"x","\u0074itle":"y"}`, "application/json", 400, codeMalformedRequest},
		"a nested name twice":   {`{"customData":{"a":"x","a":"y"}}`, "application/json", 400, codeMalformedRequest},
		"invalid UTF-8":         {"{\"title\":\"\xff\"}", "application/json", 400, codeMalformedRequest},
		"a lone surrogate":      {`{"title":"\ud800"}`, "application/json", 400, codeMalformedRequest},
		"a swapped surrogate":   {`{"title":"\udc00\ud800"}`, "application/json", 400, codeMalformedRequest},
		"a byte order mark":     {"\xef\xbb\xbf{}", "application/json", 400, codeMalformedRequest},
		"a comment":             {`{} // no`, "application/json", 400, codeMalformedRequest},
		"NaN":                   {`{"a":NaN}`, "application/json", 400, codeMalformedRequest},
		"UTF-16":                {"\xff\xfe{\x00}\x00", "application/json", 400, codeMalformedRequest},
		"too deep":              {deep, "application/json", 400, codeMalformedRequest},
		"a form":                {"title=x", "application/x-www-form-urlencoded", 415, codeUnsupportedMediaType},
		"no content type":       {`{}`, "", 415, codeUnsupportedMediaType},
		"text":                  {`{}`, "text/plain", 415, codeUnsupportedMediaType},
		"another JSON":          {`{}`, "application/vnd.api+json", 415, codeUnsupportedMediaType},
		"another charset":       {`{}`, "application/json; charset=utf-16", 415, codeUnsupportedMediaType},
		"a broken type":         {`{}`, "application/json;;=", 415, codeUnsupportedMediaType},
		"too large":             {`{"a":"` + strings.Repeat("x", maxBody) + `"}`, "application/json", 413, codeBodyTooLarge},
		"an array":              {`[]`, "application/json", 422, broadcast.CodeInvalidField},
		"a string":              {`"x"`, "application/json", 422, broadcast.CodeInvalidField},
		"a number":              {`1e999`, "application/json", 400, codeMalformedRequest},
		"an unknown field":      {`{"nope":1}`, "application/json", 422, broadcast.CodeInvalidField},
		"an empty name":         {`{"":1}`, "application/json", 422, broadcast.CodeInvalidField},
	}
	for pattern, op := range w.withBody() {
		method, path, _ := strings.Cut(fill(pattern), " ")
		for name, c := range cases {
			a := w.send(method, path, w.authFor(op, member), c.body, "Content-Type", c.contentType)
			if a.status != c.status || a.text("errorCode") != string(c.code) {
				t.Errorf("%s with %s: %d %s", pattern, name, a.status, a.raw)
			}
		}
	}
	if rooms := w.ok(w.send("GET", "/v2/apps/me/video-rooms", w.acme.basic(), "")); strings.Count(rooms.raw, `"id"`) != 1 {
		t.Errorf("bad bodies made something: %s", rooms.raw)
	} else if items, _ := rooms.body["items"].([]any); len(items) == 1 {
		room, _ := items[0].(map[string]any)
		if after := w.everything("kim", fmt.Sprint(room["id"])); after != before {
			t.Errorf("bad bodies changed something:\n%s\n%s", before, after)
		}
	}
}

// TestNoFieldOfAnyTypeGivesA500 gives every field of every body every type of
// JSON value, and says at most 422.
func TestNoFieldOfAnyTypeGivesA500(t *testing.T) {
	w := newWorld(t)
	member := w.login(w.acme, "kim")
	room, key := w.newRoom(w.acme), w.keyOf(w.acme, "kim").text("id")
	values := []string{
		`null`, `true`, `0`, `-1`, `1.5`, `30.0`, `3e1`, `1e400`, `9223372036854775808`, `1e30`, `""`, `"x"`, `"\u0000"`, `"𝄞"`, `[]`, `[null]`,
		`{}`, `{"a":1}`, `{"a":null}`, `{"":""}`, `"` + strings.Repeat("é", 2000) + `"`, `"2026-03-01T12:00:00"`, `"9999-12-31T23:59:59-23:00"`,
		`"0000-01-01T00:00:00Z"`, `"2026-02-30T00:00:00Z"`, `"https://%zz"`,
	}
	for pattern, op := range w.withBody() {
		method, path, _ := strings.Cut(pattern, " ")
		id := room
		if strings.Contains(path, "stream-keys") {
			id = key
		}
		path = strings.NewReplacer("{id}", id, "{appUserId}", "kim").Replace(path)
		schema := w.doc.Components.Schemas.SchemaFromRef(op.RequestBody.Content[typeJSON].Schema.Ref)
		for field := range schema.Properties {
			good := map[string]json.RawMessage{}
			if slices.Contains(schema.Required, "scheduledAt") {
				if err := json.Unmarshal([]byte(roomBody), &good); err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(schema.Required, "appUserId") {
					delete(good, "appUserId")
				}
			} else if slices.Contains(schema.Required, "appUserId") {
				good["appUserId"] = json.RawMessage(`"kim"`)
			}
			for _, v := range values {
				if good[field] = json.RawMessage(v); strings.Contains(pattern, "/end") || strings.Contains(pattern, "terminate") {
					continue // they would move the room; their shape is tested below
				}
				var body strings.Builder
				body.WriteString("{")
				for name, raw := range good {
					if body.Len() > 1 {
						body.WriteString(",")
					}
					fmt.Fprintf(&body, "%q:%s", name, raw)
				}
				body.WriteString("}")
				if a := w.send(method, path, w.authFor(op, member), body.String()); a.status >= 500 {
					t.Errorf("%s %s: %d %s", pattern, body.String(), a.status, a.raw)
				}
			}
		}
	}
}

func TestEveryWrongFieldIsNamedAtOnceAndNoValueIsRepeated(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	secret := "sk-very-secret-value"
	a := w.want(w.send("POST", "/v2/apps/me/video-rooms", w.acme.basic(),
		`{"type":"`+secret+`","title":7,"Description":"`+secret+`","scheduledAt":"`+secret+`","accessLevel":"`+secret+`","customData":{"a":3},"password":"`+secret+`"}`), 422, "INVALID_FIELD")
	var fields []string
	list, _ := a.body["errors"].([]any)
	for _, e := range list {
		f, _ := e.(map[string]any)
		fields = append(fields, fmt.Sprint(f["field"]))
		if len(f) != 2 || f["message"] == "" {
			t.Errorf("a field error is %v", f)
		}
	}
	want := []string{"Description", "accessLevel", "appUserId", "customData.a", "password", "scheduledAt", "title", "type"}
	if !slices.Equal(fields, want) {
		t.Errorf("fields %v, want %v\n%s", fields, want, a.raw)
	}
	if strings.Contains(a.raw, secret) || strings.Contains(w.log.String(), secret) {
		t.Errorf("a value is repeated: %s", a.raw)
	}
}

// Values that one half of a library takes and the other refuses must not slip
// into the error's text either.
func TestATimeOfADoubtfulFormIsRefusedWithoutRepeatingIt(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	for _, at := range []string{"2026-03-01T12:00:00,5Z", "2026-03-01T1:00:00Z", "2026-03-01T12:00:00+99:99", "2026-03-01t12:00:00z", "2026-03-01"} {
		body := strings.Replace(roomBody, "2026-03-01T21:00:00+09:00", at, 1)
		a := w.want(w.send("POST", "/v2/apps/me/video-rooms", w.acme.basic(), body), 422, "INVALID_FIELD")
		if list, _ := a.body["errors"].([]any); len(list) != 1 || strings.Contains(a.raw, at) {
			t.Errorf("%s: %s", at, a.raw)
		}
	}
}

func TestRulesOfFieldsHaveTheirCodes(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	room := "/v2/apps/me/video-rooms/" + w.newRoom(w.acme)
	key := "/v2/apps/me/stream-keys/" + w.keyOf(w.acme, "kim").text("id")
	eleven := strings.TrimSuffix(strings.Repeat(`"k%d":"v",`, 11), ",")
	numbers := make([]any, 11)
	for i := range numbers {
		numbers[i] = i
	}
	tooMany := `{` + fmt.Sprintf(eleven, numbers...) + `}`
	long := strings.Repeat("x", 51)
	for _, c := range []struct {
		method, path, body string
		status             int
		code               broadcast.Code
	}{
		{"POST", "/v2/apps/me/members", `{"appUserId":"-x"}`, 422, "INVALID_APP_USER_ID_FORMAT"},
		{"POST", "/v2/apps/me/members", `{"appUserId":""}`, 422, "INVALID_APP_USER_ID_FORMAT"},
		{"POST", "/v2/apps/me/members/login", `{"appUserId":"a b"}`, 422, "INVALID_APP_USER_ID_FORMAT"},
		{"POST", "/v2/apps/me/members", `{"appUserId":"kim","customData":` + tooMany + `}`, 422, "CUSTOM_DATA_TOO_LARGE"},
		{"POST", "/v2/apps/me/members", `{"appUserId":"kim","customType":"` + long + `"}`, 422, "INVALID_FIELD"},
		{"POST", "/v2/apps/me/members", `{"appUserId":"kim","appUserProfileImgUrl":"javascript:alert(1)"}`, 422, "INVALID_FIELD"},
		{"PATCH", "/v2/apps/me/members/kim", `{"customData":{"` + long + `":"v"}}`, 422, "CUSTOM_DATA_TOO_LARGE"},
		{"PATCH", "/v2/apps/me/members/kim", `{"appUserId":"lee"}`, 422, "INVALID_FIELD"},
		{"PATCH", "/v2/apps/me/members/nobody", `{}`, 404, "MEMBER_NOT_FOUND"},
		{"GET", "/v2/apps/me/members/nobody/stream-key", ``, 404, "MEMBER_NOT_FOUND"},
		{"PATCH", "/v2/apps/me", `{"name":null}`, 422, "INVALID_FIELD"},
		{"PATCH", "/v2/apps/me", `{"maxLiveSeconds":0}`, 422, "INVALID_FIELD"},
		{"PATCH", "/v2/apps/me", `{"maxLiveSeconds":1.5}`, 422, "INVALID_FIELD"},
		{"PATCH", "/v2/apps/me", `{"defaultOutputMode":"WEBRTC"}`, 422, "INVALID_FIELD"},
		{"PATCH", "/v2/apps/me", `{"vodTranscodingProfileId":"prof_x"}`, 404, "TRANSCODING_PROFILE_NOT_FOUND"},
		{"PATCH", key, `{"outputMode":"cmaf"}`, 422, "INVALID_FIELD"},
		{"PATCH", key, `{"transcodingProfileId":"prof_x"}`, 404, "TRANSCODING_PROFILE_NOT_FOUND"},
		{"PATCH", "/v2/apps/me/stream-keys/key_x", `{}`, 404, "STREAM_KEY_NOT_FOUND"},
		{"POST", key + "/force-terminate", `{"recording":"maybe"}`, 422, "INVALID_FIELD"},
		{"POST", "/v2/apps/me/video-rooms", `{"type":"VIDEO_CONFERENCE","appUserId":"kim","scheduledAt":"2026-03-01T00:00:00Z"}`, 422, "VIDEO_ROOM_TYPE_NOT_AVAILABLE"},
		{"POST", "/v2/apps/me/video-rooms", `{"type":"BROADCAST_RTMP","appUserId":"nobody","scheduledAt":"2026-03-01T00:00:00Z"}`, 404, "MEMBER_NOT_FOUND"},
		{"POST", "/v2/apps/me/video-rooms", `{"type":"BROADCAST_RTMP","appUserId":"?","scheduledAt":"2026-03-01T00:00:00Z"}`, 422, "INVALID_APP_USER_ID_FORMAT"},
		{"POST", "/v2/apps/me/video-rooms", `{"type":"BROADCAST_RTMP","appUserId":"kim","scheduledAt":"2026-03-01T00:00:00"}`, 422, "INVALID_FIELD"},
		{"POST", "/v2/apps/me/video-rooms", `{"type":"BROADCAST_RTMP","appUserId":"kim"}`, 422, "INVALID_FIELD"},
		{"POST", "/v2/apps/me/video-rooms", ``, 400, codeMalformedRequest},
		{"PATCH", room, `{"scheduledAt":null}`, 422, "INVALID_FIELD"},
		{"PATCH", room, `{"customData":` + tooMany + `}`, 422, "CUSTOM_DATA_TOO_LARGE"},
		{"PATCH", room, `{"title":"` + strings.Repeat("é", 201) + `"}`, 422, "INVALID_FIELD"},
		{"PATCH", room, ``, 400, codeMalformedRequest},
		{"POST", room + "/end", `{"force":"yes"}`, 422, "INVALID_FIELD"},
		{"POST", room + "/end", ``, 409, "VIDEO_ROOM_STATE_NOT_LIVE_INACTIVE"},
		{"POST", room + "/end", `{"force":true}`, 409, "VIDEO_ROOM_STATE_NOT_LIVE"},
		{"GET", "/v2/apps/me/video-rooms/room_x/journal", ``, 404, "VIDEO_ROOM_NOT_FOUND"},
		{"GET", "/v2/apps/me/video-rooms?limit=0", ``, 422, "INVALID_FIELD"},
		{"GET", "/v2/apps/me/video-rooms?limit=101", ``, 422, "INVALID_FIELD"},
		{"GET", "/v2/apps/me/video-rooms?limit=x", ``, 422, "INVALID_FIELD"},
		{"GET", "/v2/apps/me/video-rooms?order=up", ``, 422, "INVALID_FIELD"},
		{"GET", "/v2/apps/me/video-rooms?videoRoomState=live", ``, 422, "INVALID_FIELD"},
		{"GET", "/v2/apps/me/video-rooms?videoroomstate=LIVE", ``, 422, "INVALID_FIELD"},
		{"GET", "/v2/apps/me/video-rooms?cursor=bm8", ``, 422, "INVALID_CURSOR"},
		{"GET", "/v2/apps/me/members?cursor=%00", ``, 422, "INVALID_CURSOR"},
		{"GET", "/v2/apps/me/stream-keys?cursor=eyJ0IjpbXX0", ``, 422, "INVALID_CURSOR"},
		{"GET", room + "/journal?cursor=x", ``, 422, "INVALID_CURSOR"},
		{"GET", "/v2/apps/me/stream-keys?state=LIVE", ``, 422, "INVALID_FIELD"},
		{"DELETE", "/v2/apps/me/members/kim?force=perhaps", ``, 422, "INVALID_FIELD"},
	} {
		t.Run(c.method+" "+c.path+" "+clip(c.body), func(t *testing.T) {
			w.t = t
			w.want(w.send(c.method, c.path, w.acme.basic(), c.body), c.status, c.code)
		})
	}
}

func TestABodyOf64KiBIsTheLargest(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	fits := `{"appUserName":"` + "x" + `"}`
	fits += strings.Repeat(" ", maxBody-len(fits))
	w.want(w.send("PATCH", "/v2/apps/me/members/kim", w.acme.basic(), fits), 200, "")
	w.want(w.send("PATCH", "/v2/apps/me/members/kim", w.acme.basic(), fits+" "), 413, codeBodyTooLarge)
	w.want(w.send("PATCH", "/v2/apps/me/members/kim", w.acme.basic(), `{}`, "Content-Encoding", "gzip"), 415, codeUnsupportedMediaType)
}

func FuzzNoBodyGivesA500(f *testing.F) {
	for _, s := range []string{roomBody, `{"customData":{"a":null}}`, `{"title":"\ud83d\ude00"}`, `{"force":true}`, "\xff", `{"a":{"a":{"a":[{}]}}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		err := checkJSON(body)
		var v any
		if std := json.Unmarshal(body, &v); err == nil && std != nil {
			t.Errorf("strict JSON that encoding/json refuses: %q: %v", body, std)
		}
		if err != nil {
			return
		}
		// What is let through once is the same for everybody: writing it and
		// reading it again changes nothing.
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkJSON(again); err != nil {
			t.Errorf("%q became %q: %v", body, again, err)
		}
		if bytes.Contains(again, []byte("\ufffd")) && !bytes.Contains(body, []byte("\ufffd")) && !bytes.Contains(bytes.ToLower(body), []byte(`\ufffd`)) {
			t.Errorf("%q lost characters: %q", body, again)
		}
		w := newWorld(t)
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v2/apps/me/video-rooms", bytes.NewReader(body))
		r.Header.Set("Authorization", w.acme.basic())
		r.Header.Set("Content-Type", "application/json")
		if a := w.do(r); a.status >= 500 {
			t.Errorf("%q: %d %s", body, a.status, a.raw)
		}
	})
}
