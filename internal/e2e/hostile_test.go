package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

func TestAttacksLeavePublisherAndViewerAlone(t *testing.T) {
	s := onAir(t)
	all, keyed := strangers(), guests()
	if len(all)+len(keyed) < 30 {
		t.Fatal("too few attacks of our own")
	}
	for id, attack := range known(path.Base(s.watched)) {
		all["docs/lal.md, "+id] = attack
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 6)
	try := func(name string, from string, parts ...[]byte) {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wg.Done() }()
			c := shake(t, s.rtmp, from)
			if c == nil {
				t.Errorf("%s: no handshake", name)
				return
			}
			if _, closed := fate(c, 15*time.Second, parts...); !closed {
				t.Errorf("%s: the connection stays open", name)
			}
		}()
	}
	n := 0
	for name, attack := range all {
		n++
		try(name, fmt.Sprintf("127.0.1.%d", 1+n%200), attack)
	}
	for name, attack := range keyed {
		n++
		key := s.member(fmt.Sprintf("mallory%d", n))
		try(name, fmt.Sprintf("127.0.1.%d", 1+n%200), opening(key.StreamKey), attack)
	}
	wg.Add(1)
	go func() { defer wg.Done(); s.deaf(t) }()
	wg.Wait()
	s.calm(t)
	s.stuck(t)
}

// deaf is H2 of docs/lal.md: a publisher that floods pings and never reads.
func (s *scene) deaf(t *testing.T) {
	c := shake(t, s.rtmp, "127.0.1.250")
	if c == nil {
		t.Error("no handshake")
		return
	}
	defer func() { _ = c.Close() }()
	_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
	_, _ = c.Write(opening(s.member("deaf").StreamKey))
	flood := bytes.Repeat(cat(unhex("02 000000 000006 04 00000000 0006 00000000"), message(4, 8, 1, []byte{0xaf, 1, 0x21})), 1000)
	for begin := time.Now(); ; {
		_ = c.SetWriteDeadline(time.Now().Add(15 * time.Second))
		if _, err := c.Write(flood); err != nil {
			if os.IsTimeout(err) || time.Since(begin) > 30*time.Second {
				t.Errorf("who never reads is held: %v", err)
			}
			return
		}
	}
}

// record notes what a well-behaved publisher sends, byte by byte.
func (m *machine) record(t *testing.T, key streamKey, tags []rtmpout.Tag) []byte {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	var sent bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		client, err := ln.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", m.rtmp)
		if err != nil {
			return
		}
		back := make(chan struct{})
		go func() { defer close(back); _, _ = io.Copy(client, server); _ = client.Close() }()
		_, _ = io.Copy(server, io.TeeReader(client, &sent))
		_ = server.Close()
		<-back
	}()
	c, err := rtmpout.Dial(context.Background(), "rtmp://"+ln.Addr().String()+"/live/"+key.StreamKey, rtmpout.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range tags {
		if err := c.Write(g.Type, g.TimestampMS, g.Payload); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Close() // what was sent counts
	<-done
	return sent.Bytes()
}

// mutate damages a recorded session behind its handshake, or anywhere.
func mutate(r *rand.Rand, session []byte) []byte {
	b := bytes.Clone(session)
	from := 3073
	if r.IntN(10) == 0 {
		from = 0
	} else if r.IntN(2) == 0 {
		from = 3073 + 600 // about where publishing begins
	}
	at := func() int { return from + r.IntN(max(1, len(b)-from)) }
	for range 1 + r.IntN(4) {
		if len(b) <= from+1 {
			break
		}
		i := at()
		n := min(1+r.IntN(200), len(b)-i)
		switch r.IntN(6) {
		case 0:
			b[i] ^= 1 << r.IntN(8)
		case 1:
			for k := range min(n, 8) {
				b[i+k] = byte(r.Uint32())
			}
		case 2: // cut out
			b = append(b[:i:i], b[i+n:]...)
		case 3: // repeat
			b = cat(b[:i+n], b[i:])
		case 4: // insert
			junk := make([]byte, n)
			for k := range junk {
				junk[k] = byte(r.Uint32())
			}
			b = cat(b[:i], junk, b[i:])
		case 5: // cut off, or a chunk in the wrong place
			if r.IntN(3) == 0 {
				b = b[:i]
			} else {
				j := at()
				b = cat(b[:i], b[j:min(j+128, len(b))], b[i:])
			}
		}
	}
	return b
}

// A publisher whose bytes are damaged on the way, again and again.
func TestDamagedSessionsLeavePublisherAndViewerAlone(t *testing.T) {
	s := onAir(t)
	tags := tagsOf(t, mediatest.Generate(t, mediatest.Spec{Duration: 2 * time.Second, Width: 160, Height: 90, GOP: 12, VideoKbps: 60}))
	const mutators = 8
	s.attackers = mutators
	var done atomic.Int64
	var wg sync.WaitGroup
	for w := range mutators {
		// By turns: who comes back at once with the same key waits for its own end.
		sessions := make([][]byte, 4)
		for i := range sessions {
			sessions[i] = s.record(t, s.member(fmt.Sprintf("damaged%d-%d", w, i)), tags)
		}
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 99))
			for i := range mutations / mutators {
				c := dialFrom(t, s.rtmp, fmt.Sprintf("127.0.2.%d", 1+r.IntN(200)))
				if c == nil {
					t.Error("no connection is taken any more")
					return
				}
				b := mutate(r, sessions[i%len(sessions)])
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					_, _ = c.Write(b)                 // the door may close
					_ = c.(*net.TCPConn).CloseWrite() // and a peer is gone at the end
				}()
				_ = c.SetDeadline(time.Now().Add(15 * time.Second))
				if _, err := io.Copy(io.Discard, c); err != nil && os.IsTimeout(err) {
					t.Errorf("a connection stays open: %v", err)
				}
				_ = c.Close()
				<-sent
				if n := done.Add(1); n%5000 == 0 {
					t.Logf("%d connections, resident %.1f MB", n, s.status(t, "VmRSS:"))
				}
			}
		})
	}
	wg.Wait()
	s.calm(t)
	s.stuck(t)
}

// 5,000 peers that connect and say nothing, drip bytes, or never read.
func TestIdlePeersHoldNobodyUp(t *testing.T) {
	s := onAir(t)
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	begin := time.Now()
	for i := range 5000 {
		if c := dialFrom(t, s.rtmp, fmt.Sprintf("127.0.%d.%d", 3+i/200%20, 1+i%200)); c != nil {
			conns = append(conns, c)
			if i%3 == 0 {
				_, _ = c.Write([]byte{3})
			}
		}
	}
	t.Logf("%d connections opened in %s, the server holds %d", len(conns), time.Since(begin), s.rtmpConns(t))
	for range 5 { // slowloris: one byte after the other
		for i := 0; i < len(conns); i += 10 {
			_, _ = conns[i].Write([]byte{0})
		}
		time.Sleep(200 * time.Millisecond)
	}
	eventually(t, 30*time.Second, "a publisher gets in when the idle ones were sent away", func() error {
		key := s.member("bob")
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		c, err := rtmpout.Dial(ctx, key.url(), rtmpout.Options{Now: time.Now})
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	if d := time.Since(begin); d > 30*time.Second {
		t.Errorf("that took %s", d)
	}
	s.calm(t)
	s.stuck(t)
}

// No file descriptor is left: the accept loop lives, and who is in goes on.
func TestOutOfFileDescriptorsThePublisherGoesOn(t *testing.T) {
	s := onAir(t)
	pid := s.cmd.Process.Pid
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	// Segments and playlists need a few; connections would take them all.
	limit := len(fds) + 60
	if out, err := exec.Command("prlimit", "--pid", fmt.Sprint(pid), fmt.Sprintf("--nofile=%d:%d", limit, limit)).CombinedOutput(); err != nil {
		t.Fatalf("prlimit: %v\n%s", err, out)
	}
	var conns []net.Conn
	for i := range 300 {
		if c := dialFrom(t, s.rtmp, fmt.Sprintf("127.0.9.%d", 1+i%200)); c != nil {
			conns = append(conns, c)
		}
	}
	time.Sleep(3 * time.Second) // two segments are written meanwhile, or not
	for _, c := range conns {
		_ = c.Close()
	}
	eventually(t, 15*time.Second, "a publisher gets in afterwards", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		c, err := rtmpout.Dial(ctx, s.member("carol").url(), rtmpout.Options{Now: time.Now})
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	s.calm(t)
}
