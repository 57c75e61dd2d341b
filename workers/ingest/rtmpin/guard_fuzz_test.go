package rtmpin

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// tape is a peer that says what is on it, in pieces, and hangs up.
type tape struct {
	input *bytes.Reader
	piece int
	wrote int
}

func (c *tape) Read(p []byte) (int, error)  { return c.input.Read(p[:min(len(p), c.piece)]) }
func (c *tape) Write(p []byte) (int, error) { c.wrote += len(p); return len(p), nil }
func (*tape) Close() error                  { return nil }
func (*tape) LocalAddr() net.Addr           { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (*tape) RemoteAddr() net.Addr               { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2} }
func (*tape) SetDeadline(time.Time) error        { return nil }
func (*tape) SetReadDeadline(time.Time) error    { return nil }
func (*tape) SetWriteDeadline(t time.Time) error { return nil }

// admitAll is a handler whose publishers count.
type admitAll struct{ ends, bytes int }

func (a *admitAll) Publish(context.Context, PublishRequest, Conn) (Publisher, error) { return a, nil }

func (a *admitAll) Message(m Message) error { a.bytes += len(m.Payload); return nil }
func (a *admitAll) End(EndCause, error)     { a.ends++ }

// FuzzGuard is a whole connection: guard, lal and handler, on a clock that
// does not wait. What lal panics on is caught and logged: here that is a failure.
func FuzzGuard(f *testing.F) {
	opening := cat(hello(), msg(3, typeCommandAMF0, call("createStream")), msg(3, typeCommandAMF0, call("publish", "good", "live")))
	f.Add(cat(opening, msg(4, 9, []byte{0x17, 0, 0, 0, 0}), msg(4, 8, []byte{0xaf, 0, 0x12, 0x10}), msg(8, typeCommandAMF0, call("deleteStream"))), 1000)
	f.Add(cat(opening, msg(4, 18, call("@setDataFrame", "onMetaData")), announced(2, 9, 300, 128), msg(2, typeAbort, []byte{0, 0, 0, 64})), 7)
	f.Add(cat(chunkSizeMessage(4096), opening, unhex("04 ffffff 000001 08 01000000 fffffff0 aa 84 ffffff 01000000 aa")), 100)
	f.Add(cat(hello(), msg(8, typeCommandAMF0, call("play", "x"))), 1)
	f.Add(cat(unhex("02 000000 000006 04 00000000 0006 01020304"), opening, msg(2, typeWindowAckSize, []byte{0, 0, 0, 1})), 3)
	f.Fuzz(func(t *testing.T, input []byte, piece int) {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			all := &admitAll{}
			s, err := New(Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now}, all)
			if err != nil {
				t.Fatal(err)
			}
			shake := append([]byte{3}, make([]byte, 2*1536)...)
			c := &tape{input: bytes.NewReader(append(shake, input...)), piece: min(max(piece, 1), 1<<16)}
			g := newGuard(s, c)
			if reason := s.enter(g); reason != "" {
				t.Fatal(reason)
			}
			func() {
				defer s.wg.Done()
				defer s.leave(g)
				g.serve()
			}()
			if strings.Contains(log.String(), "panic") {
				t.Errorf("%s", log.String())
			}
			if (all.ends > 0) != (g.pub != nil) || all.ends > 1 {
				t.Errorf("%d ends", all.ends)
			}
			if all.bytes > len(input) || c.wrote > 16*len(input)+16<<10 {
				t.Errorf("%d bytes came out of %d, %d were answered", all.bytes, len(input), c.wrote)
			}
		})
	})
}
