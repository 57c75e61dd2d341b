package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"math"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/cmd/roomcast/sample"
	"github.com/roomcast/roomcast/internal/e2e/browser"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// BenchmarkLowDelay is the delay from the publisher to what an RTMP player
// (ffmpeg's) hands to its decoder, and to the picture of mpegts.js, on the
// watch page and by its default configuration. Each figure is the 95th
// percentile of one player, which joins at its own moment.
func BenchmarkLowDelay(b *testing.B) {
	rtmp := figures{name: "rtmp-player-p95", unit: "s", goal: 0.5}
	page := figures{name: "watch-page-p95", unit: "s", goal: 0.7}
	stock := figures{name: "mpegts.js-p95", unit: "s", goal: 2}
	for b.Loop() {
		m := newMachine(b)
		key, show := m.member("alice"), m.newRoom("alice")
		l := loop(b, key.url()+"?mode=RTMP")
		m.awaitKey("alice", "ACTIVE", 15*time.Second)
		live := m.roomDo(show.ID, "start", nil)
		chromium, err := browser.Launch(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = chromium.Close() })
		for n := range 3 {
			time.Sleep(time.Duration(n*290) * time.Millisecond) // another phase of the GOP
			rtmp.add(p95(b, arrivals(b, *live.Playback.RTMPURL, l.begun)))
			page.add(p95(b, pictures(b, chromium, browser.Options{Player: browser.OwnPage, URL: "http://" + m.http + "/watch/" + show.ID}, l.begun)))
			stock.add(p95(b, pictures(b, chromium, browser.Options{Player: browser.MPEGTSJS, URL: *live.Playback.HTTPFLVURL}, l.begun)))
		}
	}
	onlyOurs(b)
	for _, f := range []*figures{&rtmp, &page, &stock} {
		f.report(b)
	}
}

func p95(b *testing.B, all []float64) float64 {
	b.Helper()
	if len(all) < 5 {
		b.Fatalf("%d samples are no distribution", len(all))
	}
	slices.Sort(all)
	return all[len(all)*95/100]
}

// since answers how long ago a frame of that time in the sample was sent.
func since(begun, now time.Time, inSample time.Duration) float64 {
	return math.Mod((now.Sub(begun) - inSample).Seconds(), sample.Loop.Seconds())
}

// arrivals plays for 10 s and answers the delay of each picture, but those of
// the burst at the start.
func arrivals(b *testing.B, url string, begun time.Time) (all []float64) {
	b.Helper()
	sent := map[string]time.Duration{} // by hash of the picture's data
	for tag, err := range rtmpout.ReadFLV(bytes.NewReader(sample.FLV)) {
		if err != nil {
			b.Fatal(err)
		}
		if tag.Type == rtmpout.TypeVideo && len(tag.Payload) > 5 && tag.Payload[1] == 1 {
			sum := md5.Sum(tag.Payload[5:]) // what ffprobe prints
			sent[hex.EncodeToString(sum[:])] = time.Duration(tag.TimestampMS) * time.Millisecond
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "stdbuf", "-oL", "ffprobe", "-v", "error", "-fflags", "nobuffer", "-select_streams", "v",
		"-show_packets", "-show_data_hash", "md5", "-show_entries", "packet=data_hash", "-of", "csv=p=0", url)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	opened := time.Now()
	for in := bufio.NewScanner(out); in.Scan(); {
		at, known := sent[strings.ToLower(strings.TrimPrefix(strings.Trim(in.Text(), ","), "MD5:"))]
		if now := time.Now(); known && now.Sub(opened) > 4*time.Second {
			all = append(all, since(begun, now, at))
		}
	}
	_ = cmd.Wait() // ended by us
	return all
}

// pictures plays for 12 s and answers the delay of the pictures of the last
// seconds.
func pictures(b *testing.B, chromium *browser.Browser, o browser.Options, begun time.Time) (all []float64) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	page, err := chromium.Open(ctx, o)
	if err != nil {
		b.Fatal(err)
	}
	r, err := page.Await(ctx, func(r *browser.Report) bool { return r.PlayedSeconds >= 12 })
	if err != nil || len(r.Fatal()) > 0 {
		b.Fatalf("%v\n%v", err, r)
	}
	for _, s := range r.Samples[max(0, len(r.Samples)-8):] {
		if s.Frame != nil {
			all = append(all, since(begun, time.UnixMilli(s.AtMs), time.Duration(*s.Frame)*time.Second/sample.FPS))
		}
	}
	if err := page.Close(ctx); err != nil {
		b.Fatal(err)
	}
	return all
}
