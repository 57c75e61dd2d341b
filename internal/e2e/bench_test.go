package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/cmd/roomcast/sample"
	"github.com/roomcast/roomcast/internal/e2e/browser"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// Each benchmark takes its samples in one iteration, on the real process, and
// prints their median and range beside the goal of docs/bench/first-picture.md.

// figures are samples of one quantity.
type figures struct {
	name, unit string
	goal       float64
	all        []float64
}

func (f *figures) add(v float64) { f.all = append(f.all, v) }

func (f *figures) seconds(d time.Duration) { f.add(d.Seconds()) }

func (f *figures) report(b *testing.B) {
	b.Helper()
	if len(f.all) == 0 {
		b.Errorf("%s: no sample", f.name)
		return
	}
	slices.Sort(f.all)
	median, least, most := f.all[len(f.all)/2], f.all[0], f.all[len(f.all)-1]
	verdict := "within the goal"
	switch {
	case median > f.goal:
		verdict = "OVER THE GOAL"
	case most > f.goal:
		verdict = "within the goal, the worst is not"
	}
	b.Logf("| %s | %.3g %s | %.3g – %.3g | %d | ≤ %v %s | %s |", f.name, median, f.unit, least, most, len(f.all), f.goal, f.unit, verdict)
	b.ReportMetric(median, f.name+"-"+f.unit)
}

func onlyOurs(b *testing.B) { b.Helper(); b.ReportMetric(0, "ns/op") } // leaves that line out

func BenchmarkProcess(b *testing.B) {
	fresh := figures{name: "ready-first-start", unit: "s", goal: 1}
	again := figures{name: "ready-later-start", unit: "s", goal: 1}
	killed := figures{name: "ready-after-kill", unit: "s", goal: 2}
	idle := figures{name: "idle-RSS", unit: "MB", goal: 60}
	stop := figures{name: "SIGTERM", unit: "s", goal: 10}
	for b.Loop() {
		for range 5 {
			m := newMachine(b)
			fresh.seconds(m.startedIn)
			time.Sleep(3 * time.Second) // idle
			idle.add(residentMB(b, m.cmd.Process.Pid))
			stop.seconds(m.stop())
			m.start()
			again.seconds(m.startedIn)
			m.kill()
			m.start()
			killed.seconds(m.startedIn)
			m.kill()
		}
	}
	onlyOurs(b)
	for _, f := range []*figures{&fresh, &again, &killed, &idle, &stop} {
		f.report(b)
	}
}

// residentMB is VmRSS, in millions of bytes.
func residentMB(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(v)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib * 1024 / 1e6
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

// looped publishes the built-in sample in real time. begun is the moment of
// the sample's first frame.
type looped struct {
	begun time.Time
	stop  func()
}

func loop(b *testing.B, url string) looped {
	b.Helper()
	var tags []rtmpout.Tag
	for tag, err := range rtmpout.ReadFLV(bytes.NewReader(sample.FLV)) {
		if err != nil {
			b.Fatal(err)
		}
		tags = append(tags, tag)
	}
	ctx, cancel := context.WithCancel(context.Background())
	begun, ended := make(chan time.Time, 1), make(chan error, 1)
	l := rtmpout.Loop{
		URL: url, Tags: tags, Client: rtmpout.Options{Now: time.Now},
		Connected: func() { begun <- time.Now() },
	}
	go func() { ended <- l.Run(ctx) }()
	stop := sync.OnceFunc(func() { cancel(); <-ended })
	b.Cleanup(stop)
	select {
	case at := <-begun:
		return looped{at, stop}
	case err := <-ended:
		ended <- err
		b.Fatal(err)
	}
	return looped{}
}

func BenchmarkPublishToActive(b *testing.B) {
	active := figures{name: "publish-to-ACTIVE-2s-GOP", unit: "s", goal: 2.5}
	stopped := figures{name: "SIGTERM-while-live", unit: "s", goal: 10}
	back := figures{name: "kill-while-live-to-ACTIVE_LIVE", unit: "s", goal: 4.5}
	for b.Loop() {
		m := newMachine(b)
		for n := range 10 {
			user := fmt.Sprint("user", n)
			key := m.member(user)
			begin := time.Now()
			l := loop(b, key.url())
			m.awaitKey(user, "ACTIVE", 15*time.Second)
			active.seconds(time.Since(begin))
			l.stop()
		}
		for n := range 3 {
			user := fmt.Sprint("live", n)
			key, show := m.member(user), m.newRoom(user)
			l := loop(b, key.url())
			m.awaitKey(user, "ACTIVE", 15*time.Second)
			m.roomDo(show.ID, "start", nil)
			m.kill()
			begin := time.Now()
			l.stop()
			m.start()
			l = loop(b, key.url())
			m.awaitKey(user, "ACTIVE_LIVE", 15*time.Second)
			back.seconds(time.Since(begin))
			stopped.seconds(m.stop())
			l.stop()
			m.start()
			m.awaitKey(user, "INACTIVE_LIVE", 5*time.Second)
		}
	}
	onlyOurs(b)
	for _, f := range []*figures{&active, &stopped, &back} {
		f.report(b)
	}
}

// BenchmarkLatency opens stock players at many moments of a running show. Each
// figure is the steady distance of one page from the publisher's clock.
func BenchmarkLatency(b *testing.B) {
	goals := map[browser.Player]float64{browser.HLSJS: 8.3, browser.DASHJS: 4.8}
	all, started := map[browser.Player]*figures{}, map[browser.Player]*figures{}
	for player, goal := range goals {
		started[player] = &figures{name: string(player) + "-first-picture", unit: "s", goal: 5}
		all[player] = &figures{name: string(player) + "-behind-2s-GOP", unit: "s", goal: goal}
	}
	for b.Loop() {
		m := newMachine(b)
		key, show := m.member("alice"), m.newRoom("alice")
		l := loop(b, key.url())
		m.awaitKey("alice", "ACTIVE", 15*time.Second)
		live := m.roomDo(show.ID, "start", nil)
		time.Sleep(10 * time.Second) // so that players have the usual choice
		chromium, err := browser.Launch(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = chromium.Close() })
		for n := range 8 {
			for player, url := range map[browser.Player]string{browser.HLSJS: *live.Playback.HLSURL, browser.DASHJS: *live.Playback.DASHURL} {
				time.Sleep(time.Duration(n*290) * time.Millisecond % (2 * time.Second)) // another phase of the segment
				all[player].add(behind(b, chromium, player, url, l.begun, started[player]))
			}
		}
		m.call(http.MethodGet, "/v2/apps/me", nil, nil) // it is alive still
	}
	onlyOurs(b)
	for player := range goals {
		all[player].report(b)
		started[player].report(b)
	}
}

// behind plays for 12 s and answers the median distance over the last of them.
func behind(b *testing.B, chromium *browser.Browser, player browser.Player, url string, begun time.Time, startup *figures) float64 {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	page, err := chromium.Open(ctx, browser.Options{Player: player, URL: url})
	if err != nil {
		b.Fatal(err)
	}
	r, err := page.Await(ctx, func(r *browser.Report) bool { return r.PlayedSeconds >= 12 })
	if err != nil || len(r.Fatal()) > 0 {
		b.Fatalf("%v\n%v", err, r)
	}
	var frames []float64
	for _, s := range r.Samples[max(0, len(r.Samples)-6):] {
		if s.Frame != nil {
			at := time.UnixMilli(s.AtMs).Sub(begun).Seconds() - float64(*s.Frame)/sample.FPS
			frames = append(frames, math.Mod(at, sample.Loop.Seconds()))
		}
	}
	if len(frames) == 0 {
		b.Fatalf("no frame number could be read\n%v", r)
	}
	slices.Sort(frames)
	if r.LatencySeconds == nil || math.Abs(*r.LatencySeconds-frames[len(frames)/2]) > 0.5 {
		b.Errorf("%.2f s behind by the picture; the player says\n%v", frames[len(frames)/2], r)
	}
	startup.add(r.StartupSeconds)
	if err := page.Close(ctx); err != nil {
		b.Fatal(err)
	}
	return frames[len(frames)/2]
}
