package client

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // the example of the specification

func signed(t *testing.T, at time.Time, body string) *http.Request {
	t.Helper()
	signer, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := signer.Sign("evt_1", at, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("webhook-id", "evt_1")
	r.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	r.Header.Set("webhook-signature", "v1,AAAA "+signature)
	return r
}

const eventBody = `{"id":"evt_1","type":"video_room.live","sequence":2,"data":{"videoRoom":{"id":"room_1","videoRoomState":"LIVE"}}}`

func TestAWebhookIsReadOnlyIfItIsRoomcasts(t *testing.T) {
	hook, err := NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	e, err := hook.Read(signed(t, time.Now(), eventBody))
	if err != nil || e.Type != "video_room.live" || e.Data.VideoRoom.VideoRoomState != VideoRoomStateLIVE || e.Data.StreamKey != nil {
		t.Fatalf("%+v, %v", e, err)
	}
	old := signed(t, time.Now().Add(-time.Hour), eventBody)
	changed := signed(t, time.Now(), eventBody)
	changed.Body = http.NoBody
	unsigned := signed(t, time.Now(), eventBody)
	unsigned.Header.Del("webhook-signature")
	noJSON := signed(t, time.Now(), "x")
	for name, r := range map[string]*http.Request{"old": old, "changed": changed, "unsigned": unsigned, "no JSON": noJSON} {
		if e, err := hook.Read(r); err == nil {
			t.Errorf("%s: read as %+v", name, e)
		}
	}
	if _, err := hook.Read(signed(t, time.Now(), string(bytes.Repeat([]byte("x"), maxWebhook+1)))); err == nil {
		t.Error("a body without an end is taken")
	}
	if _, err := NewWebhook("whsec_%"); err == nil {
		t.Error("no secret is taken")
	}
}
