package packaging

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/e2e/browser"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/media"
)

// holeBound is the longest gap that a player may meet at a discontinuity: the
// reorder delay (docs/cmaf.md, trap 15), and what RTMP's milliseconds round.
const holeBound = 0.2

// jumpBound is how far a player may jump over such a gap. hls.js jumps when it
// has less than 0.1 s to play before the hole, and lands 0.1 s behind it (its
// maxBufferHole and skipBufferHolePadding); Shaka jumps when Chromium waits for
// more, up to 0.45 s before the end of what it has. All that comes on top of
// the hole.
const jumpBound = 0.6

// allowed is what players may meet that is not the packaging's: in seconds.
type allowed struct{ hole, jump float64 }

// allows answers what a player may meet in a show.
//
// In DASH a Period begins when its session did (docs/cmaf.md, trap 10): the time
// without a publisher is a hole on the timeline, which players jump over; in
// HLS sessions follow each other.
//
// Shaka compares the offset of every HLS segment with the one before by
// floating point, at a bound where rounding decides (its own 1 ms that it
// adds to negative offsets), and resets the decoder where they differ. A
// segment that follows a forced cut begins with no key frame and is lost then.
func allows(t *testing.T, p *product, s source, player browser.Player, hls bool) allowed {
	t.Helper()
	a := allowed{holeBound, jumpBound}
	switch {
	case !hls:
		a.hole += s.pause.Seconds()
		a.jump += s.pause.Seconds()
	case player == browser.Shaka:
		longest := p.longestDependent(t).Seconds()
		a.hole += longest
		a.jump += longest
	}
	return a
}

// longestDependent is the longest segment behind a forced cut.
func (p *product) longestDependent(t *testing.T) (longest time.Duration) {
	t.Helper()
	for _, w := range p.log {
		if w.Key != prefix+manifest.RecordName {
			continue
		}
		record, err := manifest.ParseRecord(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, seg := range record.Segments {
			if seg.Dependent {
				longest = max(longest, seg.Spans[0].Duration.Duration(media.VideoTimescale))
			}
		}
	}
	return longest
}

// atEnd is how near to its end a player must get: Shaka does not say that an
// ended HLS presentation is over, and stops some hundredths before.
const atEnd = 0.3

// The players are judges as well: no fatal error, no hole, to the end.
func TestPlayersPlayWhatIsPublishedToTheEnd(t *testing.T) {
	b, err := browser.Launch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }() // the reports are what counts
	for _, name := range played {
		t.Run(name, func(t *testing.T) {
			s := all()[name](t)
			p := publish(t, s.sessions, defect{})
			server := httptest.NewServer(p.serve)
			defer server.Close()
			var wg sync.WaitGroup
			for player, manifests := range map[browser.Player][]string{
				browser.HLSJS: {"master.m3u8"}, browser.DASHJS: {"manifest.mpd"}, browser.Shaka: {"master.m3u8", "manifest.mpd"},
			} {
				for _, m := range manifests {
					wg.Go(func() {
						report, err := judgePlayer(t.Context(), b, player, server.URL+"/"+prefix+m, allows(t, p, s, player, m == "master.m3u8"))
						if err != nil {
							t.Errorf("%s, %s: %v", player, m, err)
						} else if len(report.Jumps) > 0 {
							t.Logf("%s, %s: jumps %v over holes %v", player, m, report.Jumps, report.Holes)
						}
					})
				}
			}
			wg.Wait()
		})
	}
}

func judgePlayer(ctx context.Context, b *browser.Browser, player browser.Player, url string, may allowed) (*browser.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	page, err := b.Open(ctx, browser.Options{Player: player, URL: url})
	if err != nil {
		return nil, err
	}
	defer func() { _ = page.Close(context.WithoutCancel(ctx)) }() // the report is there
	over := false
	r, err := page.Await(ctx, func(r *browser.Report) bool {
		var left float64
		if err := page.Eval(ctx, `(v => v && v.duration > 0 ? v.duration - v.currentTime : 1e9)(document.querySelector("video"))`, &left); err == nil {
			over = left < atEnd
		}
		return over && r.Started || len(r.Fatal()) > 0
	})
	if err != nil {
		return r, err
	}
	if len(r.Fatal()) > 0 || len(r.BadResponses) > 0 {
		return r, fmt.Errorf("errors: %s", r)
	}
	for _, h := range r.Holes {
		if h.To-h.From > may.hole {
			return r, fmt.Errorf("a hole from %.2f to %.2f s: %s", h.From, h.To, r)
		}
	}
	jumped := 0.0
	for _, j := range r.Jumps { // where it begins is the player's choice
		jumped += j.To - j.From
		if j.To-j.From > may.jump && j.From > 0.5 {
			return r, fmt.Errorf("a jump from %.2f to %.2f s: %s", j.From, j.To, r)
		}
	}
	if r.PlayedSeconds+jumped < r.CurrentTime-1 {
		return r, fmt.Errorf("played %.2f s up to %.2f s: %s", r.PlayedSeconds, r.CurrentTime, r)
	}
	return r, nil
}
