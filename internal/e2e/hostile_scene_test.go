package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// scene is a machine with one publisher and two viewers, of HLS and HTTP-FLV,
// that must notice nothing.
type scene struct {
	*machine
	stop    func() // the show; what anybody noticed is an error of the test
	leave   func() // the viewers alone
	live    string // v.m3u8
	watched string // its RTMP address
	// attackers publish beside the show, as many at once: each may have a
	// message of 8 MB under way.
	attackers int
}

// onAir starts a show; calm looks at the end whether it was disturbed.
func onAir(t *testing.T) *scene {
	t.Helper()
	s := &scene{machine: newMachine(t)}
	key, show := s.member("alice"), s.newRoom("alice")
	tags := tagsOf(t, mediatest.Generate(t, mediatest.Spec{Duration: 8 * time.Second, BFrames: 2}))
	ctx, cancel := context.WithCancel(context.Background())
	c, err := rtmpout.Dial(ctx, key.url()+"?mode=RTMP_CMAF", rtmpout.Options{Now: time.Now})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	air := &airtime{}
	go func() { done <- realTime(ctx, c, tags, air) }()
	s.leave = func() {}
	s.stop = sync.OnceFunc(func() {
		s.leave()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the publisher noticed: %v", err)
		}
		_ = c.Close() // it is over
	})
	t.Cleanup(s.stop)
	s.awaitKey("alice", "ACTIVE", 15*time.Second)
	p := s.roomDo(show.ID, "start", nil).Playback
	s.live, s.watched = media(*p.HLSURL), *p.RTMPURL
	s.audience(t, *p.HTTPFLVURL, tags, air)
	return s
}

// audience watches until leave is called.
func (s *scene) audience(t *testing.T, flv string, tags []rtmpout.Tag, air *airtime) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	began := time.Now()
	watch := func(what string, perSecond float64, play func() (int, error)) {
		wg.Go(func() {
			n, err := play()
			if err != nil {
				t.Errorf("the viewer by %s noticed: %v", what, err)
			}
			if least := int(perSecond * (time.Since(began) - lagBound - 2*time.Second).Seconds()); n < least {
				t.Errorf("the viewer by %s got %d, want at least %d", what, n, least)
			}
		})
	}
	rate := float64(len(tags)) / 8 * 0.9
	watch("HTTP-FLV", rate, func() (int, error) { return playFLV(ctx, flv, tags, air) })
	watch("HLS", 0.45, func() (int, error) { return playHLS(ctx, s.live) })
	s.leave = sync.OnceFunc(func() { cancel(); wg.Wait() })
}

func tagsOf(t *testing.T, file string) []rtmpout.Tag {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var tags []rtmpout.Tag
	for tag, err := range rtmpout.ReadFLV(bytes.NewReader(b)) {
		if err != nil {
			t.Fatal(err)
		}
		tags = append(tags, tag)
	}
	return tags
}

// realTime sends tags over and over until ctx ends, and notes when.
func realTime(ctx context.Context, c *rtmpout.Client, tags []rtmpout.Tag, air *airtime) error {
	begin, round := time.Now(), time.Duration(tags[len(tags)-1].TimestampMS+40)*time.Millisecond
	for at := time.Duration(0); ; at += round {
		for _, g := range tags {
			due := at + time.Duration(g.TimestampMS)*time.Millisecond
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Until(begin.Add(due))):
			}
			air.wrote()
			if err := c.Write(g.Type, uint32(due.Milliseconds()), g.Payload); err != nil {
				return err
			}
		}
	}
}

// calm demands that the show went on without a seam, that what is published
// decodes, that memory stayed and that no connection was left behind.
func (s *scene) calm(t *testing.T) {
	t.Helper()
	s.leave()
	if k := s.key("alice"); k.State != "ACTIVE_LIVE" || k.LastError != nil {
		t.Errorf("the key is %s, last error %v", k.State, k.LastError)
	}
	list := body(t, s.live)
	if strings.Contains(list, "#EXT-X-DISCONTINUITY\n") || strings.Contains(list, "EXT-X-GAP") || strings.Contains(list, "/s2-") {
		t.Errorf("the viewer noticed:\n%s", list)
	}
	mediatest.DecodeStrict(t, s.live, "-live_start_index", "0", "-t", "8")
	eventually(t, 15*time.Second, "the attackers' connections are closed", func() error {
		if n := s.rtmpConns(t); n > 1 {
			return fmt.Errorf("%d connections", n)
		}
		return nil
	})
	if said := s.out.String(); strings.Contains(said, "panic") {
		t.Errorf("a panic:\n%s", said[strings.Index(said, "panic"):][:2000])
	}
	peak := s.status(t, "VmHWM:")
	t.Logf("resident at most %.1f MB, now %.1f MB, %d threads", peak, s.status(t, "VmRSS:"), int(s.status(t, "Threads:")*1e6/1024))
	bound := 64.0 + 16 + 8*float64(s.attackers) // a stream of our own, room for the API
	if peak > bound {
		t.Errorf("resident memory reached %.1f MB, want at most %.0f MB", peak, bound)
	}
}

// status is a line of /proc/PID/status; kB become millions of bytes.
func (s *scene) status(t *testing.T, name string) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.ParseFloat(strings.Fields(v)[0], 64)
			if err != nil {
				t.Fatal(err)
			}
			return n * 1024 / 1e6
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

// rtmpConns counts the sockets of the RTMP port that the server still holds,
// those of a farewell (FIN-WAIT) as well.
func (s *scene) rtmpConns(t *testing.T) (n int) {
	t.Helper()
	_, port, err := net.SplitHostPort(s.rtmp)
	if err != nil {
		t.Fatal(err)
	}
	number, _ := strconv.Atoi(port)
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", number)) && f[3] != "0A" && f[9] != "0" {
				n++
			}
		}
	}
	return n
}

// stuck asks the process for its goroutines as it ends, and counts those that
// still serve an RTMP connection.
func (s *scene) stuck(t *testing.T) {
	t.Helper()
	s.stop()
	eventually(t, 15*time.Second, "the last connection is closed", func() error {
		if n := s.rtmpConns(t); n > 0 {
			return fmt.Errorf("%d connections", n)
		}
		return nil
	})
	s.awaitKey("alice", "INACTIVE_LIVE", 15*time.Second)
	time.Sleep(500 * time.Millisecond) // from the last event to the goroutine's end
	if err := s.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	err := <-s.exited
	s.exited <- err
	dump := s.out.String()
	if !strings.Contains(dump, "goroutine ") {
		t.Fatal("no list of goroutines")
	}
	if n := strings.Count(dump, "rtmpin.(*guard)"); n > 0 {
		t.Errorf("%d frames of connections that are gone:\n%.3000s", n, dump[strings.Index(dump, "rtmpin.(*guard)"):])
	}
}
