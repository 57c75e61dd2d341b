package hub_test

import (
	"errors"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/workers/ingest/hub"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

// big is a frame that fills sockets.
func big(at uint32, key bool, n int) rtmpin.Message {
	m := video(at, key, n)
	m.Payload = append(m.Payload, make([]byte, 60_000)...)
	return m
}

func TestStalledViewersDelayNobodyAndAreClosed(t *testing.T) {
	const good, stalled, fps, speed = 200, 20, 10, 4
	h, _ := newHub(t, speed, nil)
	f := h.Publish("p", nil)
	send(f, heads(1)...)
	send(f, video(0, true, 0))
	for n := range 50 {
		f.Message(big(uint32(n), false, -1)) // 3 MB: what a socket does not take
	}
	var slow []*watcher
	for range stalled {
		w := watch(t, h, "p", hub.ChunkedFLV) // never reads
		_ = w.conn.(*net.TCPConn).SetReadBuffer(16 << 10)
		slow = append(slow, w)
	}
	for _, w := range slow {
		w.read(t, make([]byte, 20)) // it has begun
	}
	send(f, video(60, true, 0))
	late := make([][]time.Duration, good) // of each viewer, of each frame
	var sent [15 * fps]atomic.Int64
	var wg sync.WaitGroup
	for i := range good {
		w := watch(t, h, "p", hub.FLV)
		wg.Go(func() {
			w.flv(t)
			for want := 1; want < len(sent); {
				g := w.next(t)
				n := number(g)
				if n < 1 {
					continue
				}
				if n != want {
					t.Errorf("frame %d, want %d", n, want)
					return
				}
				late[i] = append(late[i], time.Duration(time.Now().UnixNano()-sent[n].Load()))
				want++
			}
		})
	}
	begin := time.Now()
	for n := 1; n < len(sent); n++ {
		time.Sleep(time.Until(begin.Add(time.Duration(n) * time.Second / fps / speed)))
		sent[n].Store(time.Now().UnixNano())
		f.Message(video(uint32(100+n*1000/fps), n%10 == 0, n))
	}
	wg.Wait()
	var medians []time.Duration
	for _, l := range late {
		slices.Sort(l)
		medians = append(medians, l[len(l)/2])
	}
	slices.Sort(medians)
	if m := medians[good-1]; m > 500*time.Millisecond { // a write that waits would wait for seconds
		t.Errorf("one good viewer's delay has a median of %v, that of half of them is below %v", m, medians[good/2])
	}
	for _, w := range slow {
		if err := w.reason(t, 5*time.Second); !errors.Is(err, hub.ErrTooSlow) {
			t.Fatalf("a stalled viewer: %v", err)
		}
	}
	if n := h.Viewers(); n != good {
		t.Errorf("%d viewers are left, want %d", n, good)
	}
}

func TestASlowViewerMissesWholeGOPsOnly(t *testing.T) {
	const speed = 4
	h, _ := newHub(t, speed, nil)
	f := h.Publish("p", nil)
	send(f, heads(1)...)
	send(f, big(0, true, 0))
	w := watch(t, h, "p", hub.FLV)
	w.flv(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(40 * time.Millisecond / speed):
			}
			if n == 300 {
				send(f, heads(7)...) // another configuration, in what a slow one misses or not
			}
			f.Message(big(uint32(n*40), n%50 == 0, n))
		}
	})
	defer wg.Wait()
	defer close(stop)
	last, skips, version := -1, 0, byte(0)
	for last < 450 {
		g := w.next(t)
		if g.typ == 9 && g.payload[1] == 0 {
			version = g.payload[5]
		}
		n := number(g)
		if n < 0 {
			continue
		}
		switch key := g.payload[0] == 0x17; {
		case last >= 0 && n != last+1 && !key:
			t.Fatalf("frame %d after %d is no key frame", n, last)
		case last >= 0 && n != last+1:
			skips++
		}
		if want := byte(1); n >= 300 && version != 7 || n < 300 && version != want {
			t.Fatalf("frame %d under configuration %d", n, version)
		}
		last = n
		if n < 350 {
			time.Sleep(20 * time.Millisecond) // half as fast as the stream
		}
	}
	if skips == 0 {
		t.Error("nothing was left out")
	}
	if h.Viewers() != 1 {
		t.Error("a viewer that reads was closed")
	}
}

// A key frame every 30 s: who joins at 4 Mbit/s gets the picture at once; at
// 20 Mbit/s it comes with the next key frame, and memory stays bounded.
func TestAGOPIsKeptUpToABound(t *testing.T) {
	for what, c := range map[string]struct {
		bytes  int // of a frame
		starts int // with the frame
	}{"4 Mbit/s": {20_000, 0}, "20 Mbit/s": {100_000, 749}} {
		t.Run(what, func(t *testing.T) {
			h, _ := newHub(t, 1, nil)
			f := h.Publish("p", nil)
			send(f, heads(1)...)
			frame := func(n int) {
				m := video(uint32(n*40), n%749 == 0, n)
				m.Payload = append(m.Payload, make([]byte, c.bytes-len(m.Payload))...)
				f.Message(m)
			}
			before := heapBytes()
			for n := range 749 {
				frame(n)
			}
			if grown := heapBytes() - before; grown > 24<<20 {
				t.Errorf("%d bytes are kept", grown)
			}
			w := watch(t, h, "p", hub.FLV)
			if c.starts > 0 {
				time.Sleep(200 * time.Millisecond) // there is nothing to begin with
				frame(c.starts)
			}
			w.flv(t)
			for {
				if n := number(w.next(t)); n >= 0 {
					if n != c.starts {
						t.Errorf("it begins with frame %d", n)
					}
					return
				}
			}
		})
	}
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestFiveThousandViewersComeAndGoWithoutATrace(t *testing.T) {
	h, _ := newHub(t, 1, func(o *hub.Options) { o.Coalesce = 5 * time.Millisecond })
	f := h.Publish("p", nil)
	send(f, heads(1)...)
	send(f, video(0, true, 0))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				f.Message(video(uint32(n*5), n%20 == 0, n))
			}
		}
	})
	before := descriptors(t)
	for range 10 {
		var all []*watcher
		for i := range 500 {
			w := watch(t, h, "p", hub.Format(i%3))
			if i%2 == 0 {
				w.ticket.Leave()
			}
			_ = w.conn.Close()
			all = append(all, w)
		}
		for _, w := range all {
			if err := w.reason(t, 10*time.Second); !errors.Is(err, hub.ErrLeft) {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	wg.Wait()
	if n := h.Viewers(); n != 0 {
		t.Errorf("%d viewers are counted", n)
	}
	if after := descriptors(t); after > before+5 {
		t.Errorf("%d file descriptors, %d before", after, before)
	}
}
