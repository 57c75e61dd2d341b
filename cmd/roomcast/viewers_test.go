package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// screening is a stream of a machine that viewers can watch.
type screening struct {
	rtmp, web, id string // addresses and play id
}

// screen publishes media in real time until the test ends.
func screen(t *testing.T, m *machine, media []rtmpout.Tag) screening {
	t.Helper()
	o := newApp(t, m, broadcast.ModeRTMP)
	k := o.key(t, "streamer", "")
	s := screening{rtmp: m.rtmpLn.Addr().String(), web: m.httpLn.Addr().String()}
	l := rtmpout.Loop{URL: m.urls.RTMP + "/live/" + k.String, Tags: media, Client: rtmpout.Options{Now: time.Now}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the publisher noticed: %v", err)
		}
	})
	s.id = string(o.active(t, k.Key.ID).Lease.PlayID)
	return s
}

// openFLV opens an HTTP-FLV viewer.
func (s screening) openFLV() (conn net.Conn, answer *http.Response, err error) {
	if conn, err = net.Dial("tcp", s.web); err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err = io.WriteString(conn, "GET /flv/"+s.id+".flv HTTP/1.1\r\nHost: x\r\n\r\n"); err == nil {
		answer, err = http.ReadResponse(bufio.NewReader(conn), nil)
	}
	return conn, answer, err
}

// traces are what a process holds on to.
type traces struct{ goroutines, descriptors, heapKB, residentKB int }

func tracesNow(t *testing.T) (n traces) {
	t.Helper()
	debug.FreeOSMemory()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rss, _ := strings.Cut(string(status), "VmRSS:")
	n.residentKB, _ = strconv.Atoi(strings.Fields(rss)[0])
	n.goroutines, n.descriptors, n.heapKB = runtime.NumGoroutine(), len(all), int(mem.HeapAlloc>>10)
	return n
}

// 5,000 viewers on the doors that are in front of real streams: RTMP and
// HTTP-FLV, some of which leave before they have said all, some rudely.
func TestFiveThousandViewersComeAndGoWithoutATrace(t *testing.T) {
	m := startMachine(t, 0, 0)
	s := screen(t, m, tags(t, 6*time.Second))
	dialer := func(i int) *net.Dialer { // strangers of one address are limited
		return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 5, byte(i%8))}}
	}
	come := func(i int) error {
		switch i % 5 {
		case 0:
			conn, err := dialer(i).Dial("tcp", s.rtmp)
			if err != nil {
				return err
			}
			_, _ = conn.Write(make([]byte, i%2000)) // whatever that is
			return conn.Close()
		case 1:
			conn, err := net.Dial("tcp", s.web)
			if err != nil {
				return err
			}
			_, _ = io.WriteString(conn, "GET /flv/"[:i%9])
			return conn.Close()
		case 2, 3:
			conn, err := dialer(i).Dial("tcp", s.rtmp)
			if err != nil {
				return err
			}
			code, err := playOn(conn, "play", s.id)
			if err != nil || code != "NetStream.Play.Start" {
				return fmt.Errorf("rtmp: %q, %w", code, err)
			}
			if i%2 == 0 {
				_ = conn.(*net.TCPConn).SetLinger(0) // a reset
			}
			return conn.Close()
		}
		conn, answer, err := s.openFLV()
		if err != nil || answer.StatusCode != http.StatusOK {
			return fmt.Errorf("http: %v, %w", answer, err)
		}
		return conn.Close()
	}
	round := func(n int) {
		t.Helper()
		var wg sync.WaitGroup
		next := make(chan int)
		for range 64 {
			wg.Go(func() {
				for i := range next {
					if err := come(i); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range n {
			next <- i
		}
		close(next)
		wg.Wait()
		for deadline := time.Now().Add(20 * time.Second); m.ingest.Viewers() > 0; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d viewers are still counted", m.ingest.Viewers())
			}
		}
	}
	round(500) // what is made once, is made now
	settled := func(than traces) (now traces, err error) {
		for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			now = tracesNow(t)
			if now.goroutines <= than.goroutines+10 && now.descriptors <= than.descriptors+5 && now.heapKB <= than.heapKB+2048 {
				return now, nil
			}
			if time.Now().After(deadline) {
				return now, fmt.Errorf("left behind: %+v, before: %+v", now, than)
			}
		}
	}
	before := tracesNow(t)
	round(5000)
	after, err := settled(before)
	if err != nil {
		b := make([]byte, 1<<20)
		t.Fatalf("%v\n%.8000s", err, b[:runtime.Stack(b, true)])
	}
	if after.residentKB > before.residentKB+96<<10 { // the race detector's shadow of 50 MB is part of it
		t.Errorf("resident %d KB, %d KB before", after.residentKB, before.residentKB)
	}
	t.Logf("before %+v, after %+v", before, after)
}

func TestTooManyViewersAreRefusedOnBothDoors(t *testing.T) {
	for what, limits := range map[string][2]int{"of this worker": {4, 0}, "of one address": {0, 4}} {
		t.Run(what, func(t *testing.T) {
			s := screen(t, startMachine(t, limits[0], limits[1]), tags(t, 6*time.Second))
			var all []net.Conn
			defer func() {
				for _, c := range all {
					_ = c.Close()
				}
			}()
			for range 2 {
				conn, code, err := openRTMP(s.rtmp, "play", s.id)
				all = append(all, conn)
				if err != nil || code != "NetStream.Play.Start" {
					t.Fatalf("%q, %v", code, err)
				}
				conn, answer, err := s.openFLV()
				all = append(all, conn)
				if err != nil || answer.StatusCode != http.StatusOK {
					t.Fatalf("%+v, %v", answer, err)
				}
			}
			conn, answer, err := s.openFLV()
			if err != nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
				t.Errorf("by HTTP: %+v, %v", answer, err)
			}
			_ = conn.Close()
			if code, err := playRTMP(s.rtmp, "play", s.id); code != "NetStream.Play.Failed" {
				t.Errorf("by RTMP: %q, %v", code, err)
			}
			_ = all[0].Close() // one leaves, one may come
			for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				code, err := playRTMP(s.rtmp, "play", s.id)
				if code == "NetStream.Play.Start" {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("after one has left: %q, %v", code, err)
				}
			}
		})
	}
}

// A publisher without a picture: viewers of both kinds get its sound.
func TestAStreamOfSoundAlonePlays(t *testing.T) {
	m := startMachine(t, 0, 0)
	var sound []rtmpout.Tag
	for _, g := range tags(t, 6*time.Second) {
		if g.Type == rtmpout.TypeAudio {
			sound = append(sound, g)
		}
	}
	s := screen(t, m, sound)
	conn, answer, err := s.openFLV()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	n := 0
	for g, err := range rtmpout.ReadFLV(answer.Body) {
		if err != nil || g.Type == rtmpout.TypeVideo {
			t.Fatalf("%+v, %v", g.Type, err)
		}
		if n++; n == 100 {
			break
		}
	}
	if code, err := playRTMP(s.rtmp, "play", s.id); code != "NetStream.Play.Start" {
		t.Errorf("by RTMP: %q, %v", code, err)
	}
}

// A publisher of nothing but metadata never becomes viewable, whoever waits
// for it, and is sent away.
func TestAStreamOfMetadataAloneIsNone(t *testing.T) {
	t.Parallel()
	m := startMachine(t, 0, 0)
	o := newApp(t, m, broadcast.ModeRTMP)
	k := o.key(t, "streamer", "")
	about := []byte("\x02\x00\x0aonMetaData\x08\x00\x00\x00\x01\x00\x05width\x00\x40\x94\x00\x00\x00\x00\x00\x00\x00\x00\x09")
	c := push(t, m, "live/"+k.String, []rtmpout.Tag{{Type: rtmpout.TypeData, Payload: about}, {Type: rtmpout.TypeData, Payload: about}})
	defer c.Abort()
	s := screening{web: m.httpLn.Addr().String(), id: string(o.find(t, k.Key.ID).Lease.PlayID)}
	conn, answer, err := s.openFLV()
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%+v, %v", answer, err)
	}
	defer func() { _ = conn.Close() }()
	begun := false
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		switch state := o.find(t, k.Key.ID).Key.State; {
		case state == broadcast.KeyActive:
			t.Fatal("the key is ACTIVE")
		case state == broadcast.KeyActivePrep:
			begun = true
		case begun && state == broadcast.KeyInactive:
			<-c.Done()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not sent away, begun %v", begun)
		}
	}
}
