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
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// scene is a machine with one publisher and one viewer that must notice nothing.
type scene struct {
	*machine
	stop func()
	live string // v.m3u8
}

// onAir starts a show; calm looks at the end whether it was disturbed.
func onAir(t *testing.T) *scene {
	t.Helper()
	s := &scene{machine: newMachine(t)}
	key, show := s.member("alice"), s.newRoom("alice")
	tags := tagsOf(t, mediatest.Generate(t, mediatest.Spec{Duration: 8 * time.Second, BFrames: 2}))
	ctx, cancel := context.WithCancel(context.Background())
	c, err := rtmpout.Dial(ctx, key.url(), rtmpout.Options{Now: time.Now})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- realTime(ctx, c, tags) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the publisher noticed: %v", err)
		}
		_ = c.Close() // it is over
	})
	t.Cleanup(s.stop)
	s.awaitKey("alice", "ACTIVE", 15*time.Second)
	s.live = media(*s.roomDo(show.ID, "start", nil).Playback.HLSURL)
	return s
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

// realTime sends tags over and over until ctx ends.
func realTime(ctx context.Context, c *rtmpout.Client, tags []rtmpout.Tag) error {
	begin, round := time.Now(), time.Duration(tags[len(tags)-1].TimestampMS+40)*time.Millisecond
	for at := time.Duration(0); ; at += round {
		for _, g := range tags {
			due := at + time.Duration(g.TimestampMS)*time.Millisecond
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Until(begin.Add(due))):
			}
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
	const bound = 64 + 16 // a stream of our own, and room for the API
	if peak > bound {
		t.Errorf("resident memory reached %.1f MB, want at most %d MB", peak, bound)
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

func nesting(depth int) []byte {
	b := cat(amfText("connect"), amfNumber(1))
	for range depth {
		b = append(b, 3, 0, 1, 'a')
	}
	return b
}

func chunkSize(n uint32) []byte {
	return message(2, 1, 0, []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// strangers is what peers without a key send right behind the handshake.
func strangers() map[string][]byte {
	hello := message(3, 20, 0, amfConnect("live"))
	return map[string][]byte{
		"audio before publish":          unhex("04 000000 000001 08 01000000 af"),
		"video before publish":          unhex("04 000000 000001 09 01000000 17"),
		"metadata before publish":       message(4, 18, 1, amfText("onMetaData")),
		"empty user control":            unhex("02 000000 000000 04 00000000"),
		"ping without a time":           unhex("02 000000 000002 04 00000000 0006"),
		"aggregate":                     unhex("04 000000 000011 16 01000000 04 000002 000000 00 000000 0006 0000000d"),
		"shared object":                 unhex("03 000000 000001 13 00000000 00"),
		"AMF3 data":                     unhex("03 000000 000001 0f 00000000 00"),
		"type 0":                        unhex("03 000000 000001 00 00000000 00"),
		"type 255":                      unhex("03 000000 000001 ff 00000000 00"),
		"chunk size 0":                  chunkSize(0),
		"chunk size 1 and 16 MB":        cat(chunkSize(1), bytes.Repeat(cat(header(3, 0, 0xffffff, 20, 0), []byte{0}), 100)),
		"chunk size -1":                 chunkSize(0xffffffff),
		"short chunk size":              unhex("02 000000 000003 01 00000000 000080"),
		"chunk size within a message":   cat(header(3, 0, 256, 20, 0), make([]byte, 128), chunkSize(4096)),
		"a message within another":      cat(header(3, 0, 256, 20, 0), make([]byte, 128), header(3, 0, 256, 20, 0)),
		"type 3 chunk from nothing":     {0xc5},
		"type 2 chunk from nothing":     {0x85, 0, 0, 1},
		"type 3 of a 3-byte id":         {0xc1, 0xff, 0xff},
		"2,000 chunk streams":           manyStreams(2000),
		"16 MB command":                 cat(header(3, 0, 0xffffff, 20, 0), make([]byte, 1<<20)),
		"objects nested 1,250,000 deep": cat(chunkSize(0x7fffffff), header(3, 0, 5_000_020, 20, 0), nesting(1_250_000)),
		"objects nested 2,000 deep":     message(3, 20, 0, nesting(2000)),
		"strict array of 4 billion":     message(3, 20, 0, cat(amfCall("connect"), []byte{10, 0xff, 0xff, 0xff, 0xff})),
		"ecma array of 4 billion":       message(3, 20, 0, cat(amfCall("connect"), []byte{8, 0xff, 0xff, 0xff, 0xff})),
		"long string of 4 GB":           message(3, 20, 0, cat(amfCall("connect"), []byte{12, 0xff, 0xff, 0xff, 0xff})),
		"command without a name":        message(3, 20, 0, []byte{5, 5, 5}),
		"command cut off":               message(3, 20, 0, []byte{2, 0, 9, 'x'}),
		"connect without an app":        message(3, 20, 0, amfCall("connect", []byte{3, 0, 0, 9})),
		"connect twice":                 cat(hello, hello),
		"publish before connect":        message(3, 20, 0, amfCall("publish", []byte{5}, amfText("x"))),
		"play before connect":           message(3, 20, 0, amfCall("play", []byte{5}, amfText("x"))),
		"publish of an unknown key":     opening("nobody"),
		"publish of an empty key":       opening(""),
		"publish of a key of zeros":     opening("\x00\x00\x00\x00"),
		"publish of ../":                opening("../../../../etc/passwd"),
		"publish of 60 KB":              opening(strings.Repeat("k", 60_000)),
		"publish, then play":            cat(opening("nobody"), message(8, 20, 1, amfCall("play", []byte{5}, amfText("x")))),
		"play twice":                    cat(hello, message(8, 20, 1, amfCall("play", []byte{5}, amfText("x"))), message(8, 20, 1, amfCall("play", []byte{5}, amfText("x")))),
		"flood of pings":                bytes.Repeat(unhex("02 000000 000006 04 00000000 0006 00000000"), 100_000),
		"flood of createStream":         cat(hello, bytes.Repeat(message(3, 20, 0, amfCall("createStream", []byte{5})), 10_000)),
		"flood of acknowledgements":     bytes.Repeat(unhex("02 000000 000004 03 00000000 00000001"), 100_000),
		"flood of chunk sizes":          bytes.Repeat(chunkSize(128), 50_000),
		"flood of empty messages":       bytes.Repeat(unhex("03 000000 000000 14 00000000"), 100_000),
		"abort of what is not there":    bytes.Repeat(message(2, 2, 0, []byte{0, 0, 0, 9}), 50_000),
	}
}

func manyStreams(n int) (b []byte) {
	for i := range n {
		b = append(b, 1, byte(i), byte(i>>8), 0, 0, 0, 0, 0x20, 0, 20, 0, 0, 0, 0)
		b = append(b, make([]byte, 128)...)
	}
	return b
}

// guests is what peers do who have a key of their own.
func guests() map[string][]byte {
	video := func(p ...byte) []byte { return message(4, 9, 1, p) }
	audio := func(p ...byte) []byte { return message(4, 8, 1, p) }
	return map[string][]byte{
		"second publish":            message(8, 20, 1, amfCall("publish", []byte{5}, amfText("x"))),
		"play of the own stream":    message(8, 20, 1, amfCall("play", []byte{5}, amfText("x"))),
		"9 MB of video":             cat(header(4, 0, 9<<20, 9, 1), make([]byte, 1<<20)),
		"14 MB announced twice":     cat(header(4, 0, 7<<20, 9, 1), make([]byte, 128), header(5, 0, 7<<20, 8, 1), make([]byte, 128)),
		"metadata of 16 MB":         cat(header(4, 0, 0xffffff, 18, 1), make([]byte, 1<<20)),
		"metadata without a name":   message(4, 18, 1, []byte{0, 0, 0}),
		"flood of metadata":         bytes.Repeat(message(4, 18, 1, cat(amfText("onMetaData"), make([]byte, 60_000))), 100),
		"flood of empty video":      bytes.Repeat(unhex("04 000000 000000 09 01000000"), 100_000),
		"AV1":                       video(0x90, 'a', 'v', '0', '1', 0x81, 0, 0, 0),
		"VP6":                       video(0x14, 0, 0, 0, 0, 1),
		"MP3":                       audio(0x2f, 1, 2, 3),
		"a header of nothing":       video(0x17, 0, 0, 0, 0),
		"a header cut off":          video(0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1, 0xff, 0xff, 0x67),
		"a header with 31 SPS":      video(0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xff, 0, 1, 0x67),
		"an AAC header of one byte": audio(0xaf, 0, 0x12),
		"an AAC header of rate 0":   audio(0xaf, 0, 0x17, 0x80, 0, 0, 0),
		"a video of 8 MB zeros":     cat(chunkSize(8<<20), header(4, 0, 8<<20-1, 9, 1), []byte{0x17, 1, 0, 0, 0}, make([]byte, 8<<20-6)),
	}
}

func TestAttacksLeavePublisherAndViewerAlone(t *testing.T) {
	s := onAir(t)
	all, keyed := strangers(), guests()
	if len(all)+len(keyed) < 30 {
		t.Fatal("too few attacks")
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
	wg.Wait()
	s.calm(t)
	s.stuck(t)
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
	const workers = 8
	var wg sync.WaitGroup
	for w := range workers {
		key := s.member(fmt.Sprintf("damaged%d", w))
		session := s.record(t, key, tags)
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 99))
			for range mutations / workers {
				c := dialFrom(t, s.rtmp, fmt.Sprintf("127.0.2.%d", 1+r.IntN(200)))
				if c == nil {
					t.Error("no connection is taken any more")
					return
				}
				b := mutate(r, session)
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
