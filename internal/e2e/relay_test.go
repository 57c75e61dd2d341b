package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/cmd/roomcast/sample"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// flvViewer follows what one HTTP-FLV viewer gets on its one connection.
type flvViewer struct {
	mu       sync.Mutex
	pictures int // since the last reset
	keyed    bool
	at       uint32
	err      error
	over     bool
}

// watchFLV opens a viewer, which ends with ctx.
func watchFLV(ctx context.Context, wg *sync.WaitGroup, url string) *flvViewer {
	v := &flvViewer{}
	wg.Go(func() {
		err := v.follow(ctx, url)
		v.mu.Lock()
		defer v.mu.Unlock()
		v.over, v.err = true, errors.Join(v.err, err)
	})
	return v
}

func (v *flvViewer) follow(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	for tag, err := range rtmpout.ReadFLV(resp.Body) {
		if err != nil {
			return err
		}
		v.saw(tag)
	}
	return nil
}

// saw counts pictures that can be decoded: a key frame comes first.
func (v *flvViewer) saw(tag rtmpout.Tag) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if tag.Type == rtmpout.TypeData {
		return
	}
	if tag.TimestampMS+1000 < v.at {
		v.err = fmt.Errorf("time falls from %d to %d", v.at, tag.TimestampMS)
	}
	v.at = max(v.at, tag.TimestampMS)
	if tag.Type == rtmpout.TypeVideo && len(tag.Payload) > 1 && tag.Payload[1] == 1 {
		v.keyed = v.keyed || tag.Payload[0]>>4 == 1
		if v.keyed {
			v.pictures++
		}
	}
}

func (v *flvViewer) reset() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pictures, v.keyed = 0, false
}

// allOf waits until a condition holds for every viewer.
func allOf(t *testing.T, all []*flvViewer, within time.Duration, what string, ok func(*flvViewer) bool) {
	t.Helper()
	eventually(t, within, what, func() error {
		missing, last := 0, ""
		for _, v := range all {
			v.mu.Lock()
			if !ok(v) {
				missing++
				last = fmt.Sprintf("%d pictures, over %v, %v", v.pictures, v.over, v.err)
			}
			v.mu.Unlock()
		}
		if missing > 0 {
			return fmt.Errorf("not so for %d of %d viewers, one of them: %s", missing, len(all), last)
		}
		return nil
	})
}

// encode publishes the sample in real time and answers once that is granted.
func encode(t *testing.T, url string) {
	t.Helper()
	var tags []rtmpout.Tag
	for tag, err := range rtmpout.ReadFLV(bytes.NewReader(sample.FLV)) {
		if err != nil {
			t.Fatal(err)
		}
		tags = append(tags, tag)
	}
	ctx, cancel := context.WithCancel(context.Background())
	granted, ended := make(chan struct{}, 1), make(chan struct{})
	l := rtmpout.Loop{URL: url, Tags: tags, Client: rtmpout.Options{Now: time.Now}, Reconnect: true, Connected: func() {
		select {
		case granted <- struct{}{}:
		default:
		}
	}}
	go func() { defer close(ended); _ = l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	select {
	case <-granted:
	case <-time.After(patience):
		t.Fatal("the publish is not granted")
	}
}

// Three workers, a hundred viewers on each of those that have no publisher: when
// the origin dies they follow the publisher to the worker that it returns to.
func TestViewersOfOtherWorkersFollowThePublisherWithoutReconnecting(t *testing.T) {
	const viewers = 100
	env := append(installation(t), "ROOMCAST_RELAY_SECRET="+strings.Repeat("between us ", 4))
	a, b, c := newMachine(t, env...), newMachine(t, env...), newMachine(t, env...)
	a.member("rosa")
	show := a.newRoom("rosa")
	encode(t, a.key("rosa").url()+"?mode=RTMP")
	a.awaitKey("rosa", "ACTIVE", patience)
	a.roomDo(show.ID, "start", nil)

	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var all []*flvViewer
	for _, m := range []*machine{b, c} {
		url := *m.room(show.ID).Playback.HTTPFLVURL
		for range viewers {
			all = append(all, watchFLV(ctx, &wg, url))
		}
	}
	allOf(t, all, patience, "a picture through relays", func(v *flvViewer) bool { return v.pictures > 30 })

	a.kill()
	for _, v := range all {
		v.reset()
	}
	encode(t, c.key("rosa").url())
	allOf(t, all, 5*time.Second, "a moving picture again", func(v *flvViewer) bool { return v.pictures > 30 })
	allOf(t, all, 0, "the same connection, and rising time", func(v *flvViewer) bool { return !v.over && v.err == nil })

	c.roomDo(show.ID, "end", map[string]bool{"force": true})
	allOf(t, all, 5*time.Second, "closed with the show", func(v *flvViewer) bool { return v.over && v.err == nil })
}

// Workers believe one another by certificate: who shows another one is not
// pulled from, and its viewers are held.
func TestRelaysAreEncryptedBetweenWorkersThatTrustEachOther(t *testing.T) {
	env := append(installation(t), "ROOMCAST_RELAY_SECRET="+strings.Repeat("between us ", 4), "ROOMCAST_RELAY_TLS=true")
	secure := func(cert, key string) *machine {
		web := freeAddress(t)
		return newMachineOn(t, web, freeAddress(t), append(env, "ROOMCAST_TLS_CERT="+cert, "ROOMCAST_TLS_KEY="+key, "ROOMCAST_PUBLIC_URL=https://"+web)...)
	}
	cert, key, _ := certificate(t)
	other, otherKey, _ := certificate(t)
	a, b, stranger := secure(cert, key), secure(cert, key), secure(other, otherKey)
	a.member("rosa")
	encode(t, strings.Replace(a.key("rosa").url(), "rtmps://", "rtmp://", 1)+"?mode=RTMP")
	a.awaitKey("rosa", "ACTIVE", patience)

	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	path := strings.TrimPrefix(*a.key("rosa").Playback.HTTPFLVURL, "https://"+a.http)
	trusting, strange := watchFLV(ctx, &wg, "http://"+b.http+path), watchFLV(ctx, &wg, "http://"+stranger.http+path)
	eventually(t, patience, "the stranger finds out", func() error {
		if !strings.Contains(stranger.out.String(), "certificate") {
			return errors.New("no word of a certificate")
		}
		return nil
	})
	allOf(t, []*flvViewer{trusting}, patience, "a picture through a relay", func(v *flvViewer) bool { return v.pictures > 30 })
	allOf(t, []*flvViewer{strange}, 0, "held, without a picture", func(v *flvViewer) bool { return v.pictures == 0 && !v.over })
}
