package httpapi

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const profileBody = `{"type":"BROADCAST_RTMP","name":"mobile first","profile":{"segmentDuration":2,"videoStreams":[
	{"name":"540p","width":960,"height":540,"bitrate":1500000},{"name":"270p","width":480,"height":270,"bitrate":400000}]}}`

func (w *world) newProfile(app tenant, body string) string {
	w.t.Helper()
	return w.want(w.send("POST", "/v2/apps/me/transcoding-profiles", app.basic(), body), 201, "").text("id")
}

// fieldsOf are the names of the wrong fields of an answer, sorted.
func fieldsOf(a answer) []string {
	var list []string
	errs, _ := a.body["errors"].([]any)
	for _, e := range errs {
		f, _ := e.(map[string]any)
		name, _ := f["field"].(string)
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

func TestAProfileHasRevisionsAndIsKeptWhileItIsNamed(t *testing.T) {
	w := newWorld(t)
	auth := w.acme.basic()
	w.login(w.acme, "kim")
	key := "/v2/apps/me/stream-keys/" + w.keyOf(w.acme, "kim").text("id")
	made := w.want(w.send("POST", "/v2/apps/me/transcoding-profiles", auth, profileBody, "Idempotency-Key", "p1"), 201, "")
	again := w.want(w.send("POST", "/v2/apps/me/transcoding-profiles", auth, profileBody, "Idempotency-Key", "p1"), 201, "")
	if again.raw != made.raw || again.header.Get(replayedHeader) != "true" {
		t.Errorf("made twice: %s %s", made.raw, again.raw)
	}
	if made.text("createdBy") != "APP" || made.body["revision"] != 1.0 || !strings.Contains(made.raw, `"audioStream":{"bitrate":128000}`) {
		t.Errorf("%s", made.raw)
	}
	path := "/v2/apps/me/transcoding-profiles/" + made.text("id")
	changed := w.ok(w.send("PATCH", path, auth, `{"profile":{"segmentDuration":4,"audioStream":{"bitrate":96000}}}`, "If-Match", made.header.Get("ETag")))
	if changed.body["revision"] != 2.0 || changed.text("name") != "mobile first" || !strings.Contains(changed.raw, `"segmentDuration":4`) || !strings.Contains(changed.raw, "540p") {
		t.Errorf("%s", changed.raw)
	}
	w.want(w.send("PATCH", path, auth, `{"name":"x"}`, "If-Match", made.header.Get("ETag")), 412, "VERSION_MISMATCH")
	first, err := w.db.ProfileRevision(t.Context(), "prof_none", 1)
	if err == nil {
		t.Errorf("a revision of nothing: %+v", first)
	}

	w.ok(w.send("PATCH", key, auth, `{"transcodingProfileId":"`+made.text("id")+`"}`))
	w.want(w.send("DELETE", path, auth, ""), 409, "TRANSCODING_PROFILE_IN_USE")
	w.ok(w.send("PATCH", "/v2/apps/me", auth, `{"defaultTranscodingProfileId":"`+made.text("id")+`"}`))
	w.ok(w.send("PATCH", key, auth, `{"transcodingProfileId":null}`))
	w.want(w.send("DELETE", path, auth, ""), 409, "TRANSCODING_PROFILE_IN_USE")
	w.ok(w.send("PATCH", key, auth, `{"transcodingProfileId":"`+made.text("id")+`"}`))
	w.ok(w.send("PATCH", "/v2/apps/me", auth, `{"defaultTranscodingProfileId":null}`))
	w.want(w.send("DELETE", path, auth, ""), 409, "TRANSCODING_PROFILE_IN_USE")
	w.ok(w.send("DELETE", "/v2/apps/me/members/kim", auth, ""))
	w.want(w.send("DELETE", path, auth, ""), 204, "")
	w.want(w.send("GET", path, auth, ""), 404, "TRANSCODING_PROFILE_NOT_FOUND")
	w.want(w.send("PATCH", "/v2/apps/me", auth, `{"defaultTranscodingProfileId":"`+made.text("id")+`"}`), 404, "TRANSCODING_PROFILE_NOT_FOUND")
}

func TestProfilesAreNamedByTheRightType(t *testing.T) {
	w := newWorld(t)
	auth := w.acme.basic()
	w.login(w.acme, "kim")
	key := "/v2/apps/me/stream-keys/" + w.keyOf(w.acme, "kim").text("id")
	live := w.newProfile(w.acme, profileBody)
	vod := w.newProfile(w.acme, strings.Replace(profileBody, "BROADCAST_RTMP", "VIDEO", 1))
	foreign := w.newProfile(w.newTenant("Other"), profileBody)

	w.want(w.send("PATCH", key, auth, `{"transcodingProfileId":"`+vod+`"}`), 422, "INVALID_FIELD")
	w.want(w.send("PATCH", key, auth, `{"transcodingProfileId":"prof_vod_default"}`), 422, "INVALID_FIELD")
	w.want(w.send("PATCH", key, auth, `{"transcodingProfileId":"`+foreign+`"}`), 404, "TRANSCODING_PROFILE_NOT_FOUND")
	w.ok(w.send("PATCH", key, auth, `{"transcodingProfileId":"prof_720p_360p"}`))
	w.ok(w.send("PATCH", key, auth, `{"transcodingProfileId":"`+live+`"}`))
	if a := w.want(w.send("PATCH", "/v2/apps/me", auth, `{"defaultTranscodingProfileId":"`+vod+`","vodTranscodingProfileId":"`+live+`"}`), 422, "INVALID_FIELD"); !slices.Equal(fieldsOf(a), []string{"defaultTranscodingProfileId", "vodTranscodingProfileId"}) {
		t.Errorf("%s", a.raw)
	}
	w.ok(w.send("PATCH", "/v2/apps/me", auth, `{"defaultTranscodingProfileId":"`+live+`","vodTranscodingProfileId":"`+vod+`"}`))
}

func TestEveryWrongFieldOfAProfileIsNamedAtOnce(t *testing.T) {
	w := newWorld(t)
	auth := w.acme.basic()
	a := w.want(w.send("POST", "/v2/apps/me/transcoding-profiles", auth, `{"type":"VIDEO","name":"","profile":{"segmentDuration":11,"videoStreams":[
		{"name":"a","width":1279,"height":10,"bitrate":1},{"name":"a","width":640,"height":360,"bitrate":500000},{"name":"audio","width":640,"bitrate":500000}],
		"audioStream":{"bitrate":1}}}`), 422, "INVALID_FIELD")
	want := []string{
		"name", "profile.audioStream.bitrate", "profile.segmentDuration", "profile.videoStreams[0].bitrate", "profile.videoStreams[0].height",
		"profile.videoStreams[0].width", "profile.videoStreams[1].name", "profile.videoStreams[2].height", "profile.videoStreams[2].name",
	}
	if got := fieldsOf(a); !slices.Equal(got, want) {
		t.Errorf("fields %v\nwant   %v\n%s", got, want, a.raw)
	}
	a = w.want(w.send("POST", "/v2/apps/me/transcoding-profiles", auth, strings.Replace(profileBody, `"segmentDuration":2`, `"segmentDuration":7`, 1)), 422, "INVALID_FIELD")
	if got := fieldsOf(a); !slices.Equal(got, []string{"profile.segmentDuration"}) {
		t.Errorf("a live segment of 7 s: %s", a.raw)
	}
	path := "/v2/apps/me/transcoding-profiles/" + w.newProfile(w.acme, profileBody)
	a = w.want(w.send("PATCH", path, auth, `{"name":null,"profile":null}`), 422, "INVALID_FIELD")
	if got := fieldsOf(a); !slices.Equal(got, []string{"name", "profile.segmentDuration", "profile.videoStreams"}) {
		t.Errorf("cleared: %v", got)
	}
	w.want(w.send("GET", path, auth, ""), 200, "")
}

func TestProfilesOfPicturesHaveASizeAndNothingElse(t *testing.T) {
	w := newWorld(t)
	auth := w.acme.basic()
	body := `{"type":"THUMBNAIL","name":"small","profile":{"videoStreams":[{"name":"picture","width":640}]}}`
	made := w.want(w.send("POST", "/v2/apps/me/transcoding-profiles", auth, body), 201, "")
	if !strings.Contains(made.raw, `"profile":{"segmentDuration":null,"videoStreams":[{"name":"picture","width":640,"height":null,"bitrate":null}],"audioStream":null}`) {
		t.Errorf("%s", made.raw)
	}
	preview := w.newProfile(w.acme, `{"type":"PREVIEW","name":"square","profile":{"segmentDuration":null,"audioStream":null,"videoStreams":[{"name":"p","width":200,"height":200,"bitrate":null}]}}`)
	a := w.want(w.send("POST", "/v2/apps/me/transcoding-profiles", auth, `{"type":"THUMBNAIL","name":"x","profile":{"segmentDuration":2,"audioStream":{"bitrate":64000},
		"videoStreams":[{"name":"p","width":64,"height":64,"bitrate":100000}]}}`), 422, "INVALID_FIELD")
	if got := fieldsOf(a); !slices.Equal(got, []string{"profile.audioStream", "profile.segmentDuration", "profile.videoStreams[0].bitrate"}) {
		t.Errorf("fields %v", got)
	}
	w.want(w.send("POST", "/v2/apps/me/transcoding-profiles", auth, strings.Replace(body, "THUMBNAIL", "VIDEO", 1)), 422, "INVALID_FIELD")
	w.want(w.send("POST", "/v2/apps/me/transcoding-profiles", auth, strings.Replace(body, `[{`, `[{"name":"q","width":64},{`, 1)), 422, "INVALID_FIELD")

	w.want(w.send("PATCH", "/v2/apps/me", auth, `{"thumbnailTranscodingProfileId":"`+preview+`"}`), 422, "INVALID_FIELD")
	app := w.ok(w.send("PATCH", "/v2/apps/me", auth, `{"thumbnailTranscodingProfileId":"`+made.text("id")+`","previewTranscodingProfileId":"`+preview+`"}`))
	if app.text("thumbnailTranscodingProfileId") != made.text("id") || app.text("previewTranscodingProfileId") != preview {
		t.Errorf("%s", app.raw)
	}
	path := "/v2/apps/me/transcoding-profiles/" + preview
	w.ok(w.send("PATCH", path, auth, `{"profile":{"videoStreams":[{"name":"p","width":300}]}}`))
	w.want(w.send("PATCH", path, auth, `{"profile":{"segmentDuration":2}}`), 422, "INVALID_FIELD")
	w.want(w.send("DELETE", path, auth, ""), 409, "TRANSCODING_PROFILE_IN_USE")
	w.ok(w.send("PATCH", "/v2/apps/me", auth, `{"previewTranscodingProfileId":null}`))
	w.want(w.send("DELETE", path, auth, ""), 204, "")
}

func TestShippedProfilesAreThereForEveryAppAndReadOnly(t *testing.T) {
	w := newWorld(t)
	auth := w.acme.basic()
	token := w.login(w.acme, "kim")
	var made []string
	for range 3 {
		made = append([]string{w.newProfile(w.acme, profileBody)}, made...)
	}
	w.newProfile(w.newTenant("Other"), profileBody)
	shipped := []string{"prof_vod_default", "prof_thumbnail_default", "prof_preview_default", "prof_passthrough", "prof_720p_360p_portrait", "prof_720p_360p"}
	want := append(slices.Clone(shipped), made...)
	for _, order := range []string{"desc", "asc"} {
		for _, side := range []struct{ path, auth string }{{"/v2/apps/me", auth}, {"/v2/members/me", token}} {
			for _, limit := range []int{1, 2, 3, 4, 6, 7, 9, 20} {
				var got []string
				target := fmt.Sprintf("%s/transcoding-profiles?limit=%d&order=%s", side.path, limit, order)
				for cursor := ""; ; {
					a := w.ok(w.send("GET", target+cursor, side.auth, ""))
					items, _ := a.body["items"].([]any)
					for _, i := range items {
						id, _ := i.(map[string]any)["id"].(string)
						got = append(got, id)
					}
					if a.text("nextCursor") == "" {
						break
					}
					cursor = "&cursor=" + a.text("nextCursor")
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s\n got %v\nwant %v", target, got, want)
				}
			}
		}
		slices.Reverse(want)
	}
	for _, id := range shipped {
		path := "/v2/apps/me/transcoding-profiles/" + id
		if a := w.ok(w.send("GET", path, auth, "")); a.text("createdBy") != "SYSTEM" {
			t.Errorf("%s", a.raw)
		}
		w.want(w.send("PATCH", path, auth, `{"name":"mine"}`), 403, "TRANSCODING_PROFILE_READ_ONLY")
		w.want(w.send("DELETE", path, auth, ""), 403, "TRANSCODING_PROFILE_READ_ONLY")
	}
	for _, cursor := range []string{"shipped.7", "shipped.-1", "shipped.x", "x"} {
		w.want(w.send("GET", "/v2/apps/me/transcoding-profiles?cursor="+cursor, auth, ""), 422, "INVALID_CURSOR")
	}
}
