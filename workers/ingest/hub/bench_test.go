package hub_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast/workers/ingest/hub"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

// drainEnv makes this binary a reader of so many connections to an address, so
// that readers' CPU is not counted.
const drainEnv = "ROOMCAST_BENCH_DRAIN"

func drain(address string) {
	var wg sync.WaitGroup
	for {
		c, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		wg.Go(func() {
			b := make([]byte, 64<<10)
			for {
				if _, err := c.Read(b); err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
}

// connections are n server ends whose peers read in another process.
func connections(b *testing.B, n int) []net.Conn {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	reader := exec.Command(os.Args[0])
	reader.Env = append(os.Environ(), drainEnv+"="+ln.Addr().String())
	if err := reader.Start(); err != nil {
		b.Fatal(err)
	}
	var all []net.Conn
	for range n {
		c, err := ln.Accept()
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, c)
	}
	_ = ln.Close()
	b.Cleanup(func() {
		for _, c := range all {
			_ = c.Close()
		}
		_ = reader.Process.Kill()
		_ = reader.Wait()
	})
	return all
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// live sends 2.5 Mbit/s in real time: 30 frames and 47 audio messages a second.
func live(d time.Duration, put func(rtmpin.Message)) {
	begin := time.Now()
	for n := 0; time.Since(begin) < d; n++ {
		at := uint32(n * 1000 / 77)
		time.Sleep(time.Until(begin.Add(time.Duration(at) * time.Millisecond)))
		m := rtmpin.Message{Type: rtmpin.TypeAudio, TimestampMS: at, Payload: make([]byte, 340)}
		m.Payload[0], m.Payload[1] = 0xaf, 1
		if n%5 < 2 {
			m = rtmpin.Message{Type: rtmpin.TypeVideo, TimestampMS: at, Payload: make([]byte, 9_700)}
			m.Payload[0], m.Payload[1] = 0x27, 1
			if n%150 == 0 {
				m.Payload[0] = 0x17
			}
		}
		put(m)
	}
}

const benchFor = 5 * time.Second

// BenchmarkViewers is the CPU of one viewer of 300 in the hub, and that of a
// plain loop which writes each message to each connection.
func BenchmarkViewers(b *testing.B) {
	const viewers = 300
	report := func(b *testing.B, begin time.Duration) {
		b.ReportMetric(float64((cpu()-begin).Microseconds())/benchFor.Seconds()/viewers, "cpu-µs/s/viewer")
		b.ReportMetric(0, "ns/op")
	}
	for name, f := range map[string]hub.Format{"flv": hub.ChunkedFLV, "rtmp": hub.RTMP} {
		b.Run(name, func(b *testing.B) {
			conns := connections(b, viewers)
			h := hub.New(hub.Options{Worker: "w", Directory: &directory{}, Now: time.Now, Sleep: clock{time.Now(), 1}.sleep, Log: slog.New(slog.DiscardHandler)})
			defer h.Close()
			feed := h.Publish("p", nil)
			for _, c := range conns {
				t, err := h.Admit(context.Background(), "p", c.RemoteAddr())
				if err != nil {
					b.Fatal(err)
				}
				sink, _ := hub.Connection(c, time.Now)
				t.Start(f, sink, func(error) {})
			}
			begin := cpu()
			for range b.N {
				live(benchFor, feed.Message)
			}
			b.ReportMetric(0, "ns/op")
			if b.N == 1 {
				report(b, begin)
			}
		})
	}
	b.Run("plain loop", func(b *testing.B) {
		conns := connections(b, viewers)
		begin := cpu()
		for range b.N {
			live(benchFor, func(m rtmpin.Message) {
				for _, c := range conns {
					_, _ = c.Write(m.Payload)
				}
			})
		}
		if b.N == 1 {
			report(b, begin)
		}
	})
}
