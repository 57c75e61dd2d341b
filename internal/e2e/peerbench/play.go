package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/rtmpout"
)

// cost is what one round of one server gave.
type cost struct {
	publisherCPU float64 // ms of CPU per second and publisher, nobody watching
	viewerCPU    float64 // ms of CPU per second of stream and viewer, beyond the publisher's
	got          float64 // how much of the stream a viewer got in the time, 1 = all
	viewerKB     float64 // resident memory per viewer
	load         float64 // of the machine
}

// playServer is a server under viewers of one kind.
type playServer struct {
	name    string
	start   func(ctx context.Context, s settings, streams int) (*running, error)
	viewers func(r *running) watching
}

func playServers() []playServer {
	return []playServer{
		{"nginx-rtmp, RTMP", nginx(false), func(r *running) watching { return watchRTMP(r.urls[0]) }},
		{"plain Go loop", plainLoop, func(r *running) watching { return watchRaw(r.plain) }},
		{"roomcast, RTMP", roomcast("RTMP"), func(r *running) watching { return watchRTMP(r.play.RTMPURL) }},
		{"roomcast, HTTP-FLV", roomcast("RTMP"), func(r *running) watching { return watchFLV(r.play.HTTPFLVURL) }},
	}
}

// runPlay measures viewers of one stream, rounds interleaved.
func runPlay(ctx context.Context, s settings) error {
	source, err := makeSource(ctx, s.dir)
	if err != nil {
		return err
	}
	for _, n := range s.streams {
		all := map[string][]cost{}
		for range s.rounds {
			for _, v := range playServers() {
				if !strings.Contains(v.name, s.only) {
					continue
				}
				got, err := measureViewers(ctx, s, v, source, n)
				if err != nil {
					return fmt.Errorf("%s, %d viewers: %w", v.name, n, err)
				}
				all[v.name] = append(all[v.name], got)
				say("# %s, %d viewers: %.3f ms/s each, %.0f KB each, %.0f %% of the stream; publisher %.2f ms/s; load %.1f\n", v.name, n, got.viewerCPU, got.viewerKB, got.got*100, got.publisherCPU, got.load)
			}
		}
		reportPlay(all, n)
	}
	return nil
}

// measureViewers: first the publisher alone, then n viewers of it.
func measureViewers(ctx context.Context, s settings, v playServer, source []rtmpout.Tag, n int) (cost, error) {
	if err := leaveFirstCore(ctx); err != nil {
		return cost{}, err
	}
	r, err := v.start(ctx, s, 1)
	if r != nil {
		defer r.stop()
	}
	if err != nil {
		return cost{}, err
	}
	load, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	failed := make(chan error, 1)
	for _, url := range r.urls {
		c, err := rtmpout.Dial(ctx, url, rtmpout.Options{Now: time.Now})
		if err != nil {
			return cost{}, err
		}
		wg.Go(func() {
			defer c.Abort()
			if err := pace(load, c, source, 0); err != nil {
				failed <- err
			}
		})
	}
	if err := errors.Join(wait(ctx, settle/2, failed), r.live(ctx)); err != nil {
		return cost{}, err
	}
	alone, _, _, err := window(ctx, r, s.window/2, failed, nil)
	if err != nil {
		return cost{}, err
	}
	audience := newAudience(load, &wg, source)
	if err := audience.fill(ctx, n, v.viewers(r)); err != nil {
		return cost{}, err
	}
	if err := wait(ctx, settle/2, failed); err != nil {
		return cost{}, err
	}
	watched, after, got, err := window(ctx, r, s.window, failed, audience)
	if err != nil {
		return cost{}, err
	}
	return cost{
		publisherCPU: alone.cpu,
		viewerCPU:    (watched.cpu - alone.cpu) / float64(n) / got,
		got:          got,
		viewerKB:     (watched.memoryMB - alone.memoryMB) * 1e3 / float64(n),
		load:         after.load,
	}, nil
}

// window counts CPU (ms per second) for d, and how much of the stream the
// audience got.
func window(ctx context.Context, r *running, d time.Duration, failed <-chan error, a *audience) (per, last usage, served float64, err error) {
	before, err := precise(r.pids())
	if err != nil {
		return per, last, 0, err
	}
	began, got := time.Now(), a.bytes()
	if err := wait(ctx, d, failed); err != nil {
		return per, last, 0, err
	}
	after, err := precise(r.pids())
	if err != nil {
		return per, last, 0, err
	}
	took := time.Since(began).Seconds()
	if served, err = a.served(a.bytes()-got, took); err != nil {
		return per, last, 0, err
	}
	return usage{cpu: (after.cpu - before.cpu) * 1e3 / took, memoryMB: after.memoryMB}, after, served, nil
}

// reportPlay prints medians, ranges and ratios.
func reportPlay(all map[string][]cost, n int) {
	pick := func(name string, of func(cost) float64) (median, least, most float64) {
		var v []float64
		for _, c := range all[name] {
			v = append(v, of(c))
		}
		if len(v) == 0 {
			return 0, 0, 0
		}
		slices.Sort(v)
		return v[len(v)/2], v[0], v[len(v)-1]
	}
	viewer := func(c cost) float64 { return c.viewerCPU }
	nginx, _, _ := pick("nginx-rtmp, RTMP", viewer)
	plain, _, _ := pick("plain Go loop", viewer)
	say("| %d viewers of one stream | ms of CPU per second and viewer, median | range | of nginx-rtmp | of the plain loop | KB per viewer | publisher alone, ms/s |\n|---|---|---|---|---|---|---|\n", n)
	for _, v := range playServers() {
		if len(all[v.name]) == 0 {
			continue
		}
		m, least, most := pick(v.name, viewer)
		kb, _, _ := pick(v.name, func(c cost) float64 { return c.viewerKB })
		alone, _, _ := pick(v.name, func(c cost) float64 { return c.publisherCPU })
		say("| %s | %.3f | %.3f – %.3f | %s | %s | %.0f | %.2f |\n", v.name, m, least, most, ratio(m, nginx), ratio(m, plain), kb, alone)
	}
}
