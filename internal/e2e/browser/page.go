package browser

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

// Player is what plays an address.
type Player string

// The players: stock ones with their default configuration, or the page at the
// address itself, such as the watch page.
const (
	HLSJS    Player = "hls.js"
	DASHJS   Player = "dash.js"
	Shaka    Player = "shaka"
	MPEGTSJS Player = "mpegts.js" // HTTP-FLV
	Video    Player = "video"     // the browser's own: a file
	OwnPage  Player = "page"
)

// Options say what to open.
type Options struct {
	Player Player // required
	URL    string // required: a playlist, manifest or file; with OwnPage a web page
	// For is how long [Play] plays, counted from the opened page; default
	// 20 s. Open ignores it.
	For time.Duration
	// Width and Height of the window in CSS pixels, default 1280x720.
	Width, Height int
	// Mobile emulates a touch device.
	Mobile bool
}

// Page is an open page that plays. It is safe for concurrent use.
type Page struct {
	browser *Browser
	id      int
	player  Player
}

// Open opens a page and answers when its document is there; it plays from then
// on by itself. It stays open until Close or the browser's Close.
func (b *Browser) Open(ctx context.Context, o Options) (*Page, error) {
	target := o.URL
	switch o.Player {
	case HLSJS, DASHJS, Shaka, MPEGTSJS, Video:
		target = b.harness.base + "/player.html?" + url.Values{"player": {string(o.Player)}, "url": {o.URL}}.Encode()
	case OwnPage:
	default:
		return nil, fmt.Errorf("unknown player %q", o.Player)
	}
	var opened struct{ Page int }
	err := b.call(ctx, request{Do: "open", Player: o.Player, URL: target, Width: o.Width, Height: o.Height, Mobile: o.Mobile}, &opened)
	if err != nil {
		return nil, err
	}
	return &Page{browser: b, id: opened.Page, player: o.Player}, nil
}

// Report tells how it went since the page was opened or Reset.
func (p *Page) Report(ctx context.Context) (*Report, error) {
	var r Report
	if err := p.browser.call(ctx, request{Do: "report", Page: p.id}, &r); err != nil {
		return nil, err
	}
	return &r, nil
}

// Reset forgets what was measured so far; the page plays on. StartupSeconds
// then tells how long it took until the picture moved again.
func (p *Page) Reset(ctx context.Context) error {
	return p.browser.call(ctx, request{Do: "reset", Page: p.id}, nil)
}

// Await asks for a report every 200 ms until ok likes it. At the end of ctx it
// answers the last report with the error.
func (p *Page) Await(ctx context.Context, ok func(*Report) bool) (*Report, error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var last *Report
	for {
		r, err := p.Report(ctx)
		if err != nil {
			return last, fmt.Errorf("wait for %s: %w; last: %v", p.player, err, last)
		}
		last = r
		if ok(r) {
			return r, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return last, fmt.Errorf("wait for %s: %w; last: %v", p.player, ctx.Err(), last)
		}
	}
}

// Screenshot writes what the window shows to path, a PNG.
func (p *Page) Screenshot(ctx context.Context, path string) error {
	return p.browser.call(ctx, request{Do: "screenshot", Page: p.id, Path: path}, nil)
}

// Limit emulates a connection that brings that many bit/s down; 0 = no limit.
func (p *Page) Limit(ctx context.Context, bps int) error {
	return p.browser.call(ctx, request{Do: "limit", Page: p.id, BPS: bps}, nil)
}

// Seek goes to a place of the recording, in seconds, and answers when its
// picture is there; the page plays on from it.
func (p *Page) Seek(ctx context.Context, seconds float64) error {
	return p.Eval(ctx, fmt.Sprintf(`new Promise((seeked) => {
		const video = document.querySelector("video");
		video.addEventListener("seeked", () => seeked(), { once: true });
		video.currentTime = %f;
	})`, seconds), nil)
}

// Eval runs a JavaScript expression in the page and decodes its value into
// result, unless that is nil.
func (p *Page) Eval(ctx context.Context, script string, result any) error {
	return p.browser.call(ctx, request{Do: "eval", Page: p.id, Script: script}, result)
}

// Close closes the page; its report is gone then.
func (p *Page) Close(ctx context.Context) error {
	return p.browser.call(ctx, request{Do: "close", Page: p.id}, nil)
}

// Play opens one page in a Chromium of its own, plays for o.For and reports.
func Play(ctx context.Context, o Options) (*Report, error) {
	b, err := Launch(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }() // the report is what counts
	p, err := b.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	if o.For == 0 {
		o.For = 20 * time.Second
	}
	select {
	case <-time.After(o.For):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return p.Report(ctx)
}
