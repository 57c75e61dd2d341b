package packaging

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/e2e/browser"
)

// holeBound is the longest gap that a player may meet at a discontinuity: the
// reorder delay (docs/cmaf.md, trap 15), and what RTMP's milliseconds round.
const holeBound = 0.2

// jumpBound is how far a player may jump over such a gap: hls.js goes 0.1 s
// beyond it.
const jumpBound = 0.4

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
			p := publish(t, all()[name](t).sessions, defect{})
			server := httptest.NewServer(p.serve)
			defer server.Close()
			var wg sync.WaitGroup
			for player, manifests := range map[browser.Player][]string{
				browser.HLSJS: {"master.m3u8"}, browser.DASHJS: {"manifest.mpd"}, browser.Shaka: {"master.m3u8", "manifest.mpd"},
			} {
				for _, m := range manifests {
					wg.Go(func() {
						if err := judgePlayer(t.Context(), b, player, server.URL+"/"+prefix+m); err != nil {
							t.Errorf("%s, %s: %v", player, m, err)
						}
					})
				}
			}
			wg.Wait()
		})
	}
}

func judgePlayer(ctx context.Context, b *browser.Browser, player browser.Player, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	page, err := b.Open(ctx, browser.Options{Player: player, URL: url})
	if err != nil {
		return err
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
		return err
	}
	if len(r.Fatal()) > 0 || len(r.BadResponses) > 0 {
		return fmt.Errorf("errors: %s", r)
	}
	for _, h := range r.Holes {
		if h.To-h.From > holeBound {
			return fmt.Errorf("a hole from %.2f to %.2f s: %s", h.From, h.To, r)
		}
	}
	for _, j := range r.Jumps { // where it begins is the player's choice
		if j.To-j.From > jumpBound && j.From > 0.5 {
			return fmt.Errorf("a jump from %.2f to %.2f s: %s", j.From, j.To, r)
		}
	}
	if r.PlayedSeconds < r.CurrentTime-1 {
		return fmt.Errorf("played %.2f s up to %.2f s: %s", r.PlayedSeconds, r.CurrentTime, r)
	}
	return nil
}
