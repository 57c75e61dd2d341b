package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// watchState is State as JSON: absent values are null, times ISO 8601 UTC with
// milliseconds (the API's conventions).
type watchState struct {
	VideoRoomState string         `json:"videoRoomState"`
	Title          *string        `json:"title"`
	Playback       *watchPlayback `json:"playback"`
	EndReason      *string        `json:"endReason"`
	ScheduledAt    *string        `json:"scheduledAt"`
	LiveStartedAt  *string        `json:"liveStartedAt"`
	// ServerTime is the moment of the answer: a page with a wrong clock still
	// shows the right delay.
	ServerTime string `json:"serverTime"`
}

type watchPlayback struct {
	HLSURL     *string `json:"hlsURL"`
	DASHURL    *string `json:"dashURL"`
	RTMPURL    *string `json:"rtmpURL"`
	HTTPFLVURL *string `json:"httpFlvURL"`
}

func newWatchState(s State, now time.Time) watchState {
	ws := watchState{
		VideoRoomState: s.VideoRoomState,
		Title:          orNull(s.Title),
		EndReason:      orNull(s.EndReason),
		ScheduledAt:    timeOrNull(s.ScheduledAt),
		LiveStartedAt:  timeOrNull(s.LiveStartedAt),
		ServerTime:     now.UTC().Format(isoMillis),
	}
	if p := s.Playback; p != nil {
		ws.Playback = &watchPlayback{orNull(p.HLSURL), orNull(p.DASHURL), orNull(p.RTMPURL), orNull(p.HTTPFLVURL)}
	}
	return ws
}

const isoMillis = "2006-01-02T15:04:05.000Z"

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func timeOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return orNull(t.UTC().Format(isoMillis))
}

// writeProblem answers with a problem document (RFC 9457). The request id is
// the one that a handler around this one has set on the answer, or null.
func writeProblem(w http.ResponseWriter, r *http.Request, status int, code, detail string) {
	body, err := json.Marshal(struct {
		Type      string  `json:"type"`
		Title     string  `json:"title"`
		Status    int     `json:"status"`
		Detail    string  `json:"detail"`
		Instance  string  `json:"instance"`
		ErrorCode string  `json:"errorCode"`
		RequestID *string `json:"requestId"`
	}{"about:blank", http.StatusText(status), status, detail, r.URL.Path, code, orNull(w.Header().Get("X-Request-Id"))})
	if err != nil {
		panic(err) //nolint:forbidigo // bug: a problem of strings that JSON cannot say
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the viewer may have gone
}

// contentSecurityPolicy allows scripts and styles from our own files only, and
// media also from origins. hls.js feeds the video element through a blob.
func contentSecurityPolicy(origins []string) (string, error) {
	media := "'self'"
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || o != u.Scheme+"://"+u.Host ||
			strings.ContainsAny(u.Host, " ;,'\"") {
			return "", fmt.Errorf("media origin %q is not of the form https://host[:port]", o)
		}
		media += " " + o
	}
	return strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'",
		"connect-src " + media, "media-src blob: " + media,
		"base-uri 'none'", "form-action 'none'", "frame-ancestors 'self'",
	}, "; "), nil
}
