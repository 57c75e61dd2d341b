package rtmpout

import (
	"bufio"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is what a test's server does with one connection.
type script struct {
	t    *testing.T
	conn net.Conn
	in   *reader
	out  [8]sentStream
	saw  []heard
}

type heard struct {
	typ     MessageType
	command string
	body    []byte
}

// serve runs a server that gives each connection in turn to the next of acts;
// further connections are refused. It returns an RTMP URL.
func serve(t *testing.T, acts ...func(*script)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for _, act := range acts {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			act(&script{t: t, conn: conn, in: newReader(bufio.NewReader(conn))})
			_ = conn.Close()
		}
		_ = ln.Close()
	})
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	return "rtmp://" + ln.Addr().String() + "/live/key"
}

// shake does the server's part of the handshake.
func (s *script) shake() {
	b := make([]byte, 1+1536+1536)
	if err := s.in.full(b[:1537]); err != nil {
		s.t.Error(err)
	}
	b[0] = 3
	if _, err := s.conn.Write(b); err != nil {
		s.t.Error(err)
	}
	if err := s.in.full(b[:1536]); err != nil {
		s.t.Error(err)
	}
}

func (s *script) send(id byte, typ MessageType, body []byte) {
	_, _ = s.conn.Write(s.out[id].appendMessage(nil, id, typ, 0, 0, body, 128)) // the client may be gone
}

func (s *script) call(values ...any) { s.send(3, typeCommandAMF0, appendAMF(nil, values...)) }

func (s *script) status(level, code, description string) {
	s.call("onStatus", 0.0, null{}, []pair{{"level", level}, {"code", code}, {"description", description}})
}

// until reads up to a command; false when the client is gone before.
func (s *script) until(name string) bool {
	for {
		typ, body, err := s.in.next()
		if err != nil {
			return false
		}
		h := heard{typ: typ, body: body}
		if typ == typeCommandAMF0 {
			h.command = parseAnswer(body).Name
		}
		s.saw = append(s.saw, h)
		if h.command == name {
			return true
		}
	}
}

// media reads the next n messages of audio, video or data.
func (s *script) media(n int) (list []heard) {
	for len(list) < n {
		typ, body, err := s.in.next()
		if err != nil {
			s.t.Error(err)
			return make([]heard, n)
		}
		if typ == TypeAudio || typ == TypeVideo || typ == TypeData {
			list = append(list, heard{typ: typ, body: append([]byte(nil), body...)})
		}
	}
	return list
}

// grant goes up to Publish.Start.
func (s *script) grant() {
	s.shake()
	s.until("connect")
	s.send(2, typeWindowAckSize, []byte{0, 0, 0, 200})
	s.call("_result", 1.0, []pair{{"fmsVer", "x"}}, []pair{{"code", "NetConnection.Connect.Success"}})
	s.until("createStream")
	s.call("_result", 4.0, null{}, 1.0)
	s.until("publish")
	s.status("status", "NetStream.Publish.Start", "go")
}

// drain reads until the client closes.
func (s *script) drain() { _, _ = io.Copy(io.Discard, s.conn) }
