package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast/internal/rtmpout"
)

// watching opens one viewer, up to the first media.
type watching func(ctx context.Context) (net.Conn, error)

// audience is many viewers that read and forget.
type audience struct {
	ctx context.Context //nolint:containedctx // of one measurement
	wg  *sync.WaitGroup
	n   int

	bytesPerSecond float64 // of the stream

	read atomic.Int64
	gone atomic.Int64
	why  atomic.Pointer[error] // of the last one
}

// newAudience watches a stream of these tags.
func newAudience(ctx context.Context, wg *sync.WaitGroup, source []rtmpout.Tag) *audience {
	bytes := 0
	for _, g := range source {
		bytes += len(g.Payload)
	}
	return &audience{ctx: ctx, wg: wg, bytesPerSecond: float64(bytes) * 1e3 / float64(source[len(source)-1].TimestampMS)}
}

const openWithin = 20 * time.Second

func (a *audience) fill(ctx context.Context, n int, open watching) error {
	for range n {
		opening, cancel := context.WithTimeout(ctx, openWithin)
		conn, err := open(opening)
		cancel()
		if err != nil {
			return fmt.Errorf("viewer %d: %w", a.n, err)
		}
		a.n++
		a.wg.Go(func() {
			stop := context.AfterFunc(a.ctx, func() { _ = conn.Close() })
			defer stop()
			a.drain(conn)
		})
	}
	return nil
}

func (a *audience) drain(conn net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := conn.Read(buf)
		a.read.Add(int64(n))
		if err != nil {
			a.why.Store(&err)
			a.gone.Add(1)
			return
		}
	}
}

func (a *audience) bytes() int64 {
	if a == nil {
		return 0
	}
	return a.read.Load()
}

// served answers how much of the stream each viewer got, 1 = all that there is.
// It fails where viewers were cut, or got less than half: that is another test.
func (a *audience) served(bytes int64, seconds float64) (float64, error) {
	if a == nil {
		return 1, nil
	}
	if gone := a.gone.Load(); gone > 0 {
		return 0, fmt.Errorf("%d of %d viewers were cut: %w", gone, a.n, *a.why.Load())
	}
	got := float64(bytes) / seconds / float64(a.n) / a.bytesPerSecond
	if got < 0.5 {
		return got, fmt.Errorf("viewers got %.0f %% of the stream", got*100)
	}
	return got, nil
}

func dial(ctx context.Context, host, usual string) (net.Conn, error) {
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(host, usual)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	if until, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(until)
	}
	return conn, nil
}

// watchRaw takes what is sent without a word.
func watchRaw(address string) watching {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx, address, "")
		if err == nil {
			_ = conn.SetDeadline(time.Time{})
		}
		return conn, err
	}
}

func watchFLV(address string) watching {
	return func(ctx context.Context) (net.Conn, error) {
		u, err := url.Parse(address)
		if err != nil {
			return nil, err
		}
		conn, err := dial(ctx, u.Host, "80")
		if err != nil {
			return nil, err
		}
		head := make([]byte, 12)
		_, err = io.WriteString(conn, "GET "+u.Path+" HTTP/1.1\r\nHost: "+u.Host+"\r\n\r\n")
		if err == nil {
			_, err = io.ReadFull(conn, head)
		}
		if err == nil && !strings.HasSuffix(string(head), " 200") {
			err = fmt.Errorf("answer %q", head)
		}
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return conn, conn.SetDeadline(time.Time{})
	}
}

// watchRTMP plays rtmp://host/app/name: handshake, connect, createStream, play
// in one go (RTMP 1.0, 7.2), which servers take.
func watchRTMP(address string) watching {
	return func(ctx context.Context) (net.Conn, error) {
		u, err := url.Parse(address)
		if err != nil {
			return nil, err
		}
		app, name, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
		if !ok {
			return nil, fmt.Errorf("%s has no app and name", address)
		}
		conn, err := dial(ctx, u.Host, "1935")
		if err != nil {
			return nil, err
		}
		if err := playRTMP(conn, "rtmp://"+u.Host+"/"+app, app, name); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return conn, conn.SetDeadline(time.Time{})
	}
}

func playRTMP(conn net.Conn, tcURL, app, name string) error {
	hello := make([]byte, 1+1536)
	hello[0] = 3
	if _, err := conn.Write(hello); err != nil {
		return err
	}
	answer := make([]byte, 1+1536+1536)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	text := func(s string) string { return "\x02" + bare(s) }
	number := func(n byte) string { return "\x00\x3f\xf0\x00\x00\x00\x00\x00" + string(n) }
	out := string(answer[1 : 1+1536])
	for _, m := range []struct {
		stream byte
		body   string
	}{
		{0, text("connect") + number(0) + "\x03" + bare("app") + text(app) + bare("tcUrl") + text(tcURL) + "\x00\x00\x09"},
		{0, text("createStream") + number(0) + "\x05"},
		{1, text("play") + number(0) + "\x05" + text(name)},
	} {
		if len(m.body) > 128 {
			return errors.New("a command does not fit one chunk")
		}
		out += string([]byte{3, 0, 0, 0, 0, 0, byte(len(m.body)), 20, m.stream, 0, 0, 0}) + m.body //nolint:gosec // checked above
	}
	if _, err := io.WriteString(conn, out); err != nil {
		return err
	}
	var got []byte
	for buf := make([]byte, 4096); ; {
		n, err := conn.Read(buf)
		got = append(got, buf[:n]...)
		switch s := string(got); {
		case strings.Contains(s, "NetStream.Play.Start"):
			return nil
		case err != nil:
			return fmt.Errorf("play: %w", err)
		case strings.Contains(s, "NetStream.Play."), strings.Contains(s, "Rejected"):
			if !strings.Contains(s, "NetStream.Play.Reset") {
				return errors.New("play is refused")
			}
		}
	}
}

func bare(s string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s //nolint:gosec // short names
}
