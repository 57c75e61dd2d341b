package rtmpin

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"testing"

	"github.com/q191201771/lal/pkg/rtmp"
)

// seen is a message as somebody understood it.
type seen struct {
	typ       uint8
	timestamp uint32
	length    int
}

// parseAll runs the parser over input that arrives in pieces, with output room
// for as many bytes, and returns what it let through and understood. Like the
// guard, it forwards commands, and hands on what has come.
func parseAll(input []byte, published bool, piece int) (out []byte, messages []seen, p *parser, err error) {
	p = newParser()
	if published {
		p.admit()
	}
	var buf []byte
	room := make([]byte, piece)
	for {
		nIn, nOut, done, err := p.step(buf, room)
		buf, out = buf[nIn:], append(out, room[:nOut]...)
		if err != nil {
			return out, messages, p, err
		}
		if done != nil {
			messages = append(messages, seen{done.typ, done.timestamp, int(done.length)})
			switch done.typ {
			case typeCommandAMF0, typeCommandAMF3:
				p.forward(done)
			}
			if len(done.body) != int(done.length) {
				return out, messages, p, errors.New("a message of another length")
			}
			done.body = nil
			continue
		}
		if nIn > 0 || nOut > 0 {
			continue
		}
		if len(input) == 0 {
			return out, messages, p, nil
		}
		n := min(piece, len(input))
		buf, input = append(slices.Clone(buf), input[:n]...), input[n:]
	}
}

// lalSees is what lal makes of what the parser let through.
func lalSees(t *testing.T, out []byte) (messages []seen) {
	t.Helper()
	err := rtmp.NewChunkComposer().RunLoop(bytes.NewReader(out), func(s *rtmp.Stream) error {
		m := seenByLal(s)
		messages = append(messages, m)
		return nil
	})
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("lal: %v", err)
	}
	return messages
}

func TestTimestampsAreAbsoluteWhateverTheChunkType(t *testing.T) {
	input := cat(
		unhex("04 000064 000001 08 01000000 aa"),          // 100
		unhex("c4 aa"),                                    // type 3 behind type 0: 100 more
		unhex("44 00000a 000001 08 aa"),                   // 10 more
		unhex("84 000014 aa"),                             // 20 more
		unhex("c4 aa"),                                    // 20 more
		unhex("04 ffffff 000001 08 01000000 fffffff0 aa"), // extended
		unhex("84 000020 aa"),                             // wraps
		unhex("84 ffffff 01000000 aa"),                    // extended delta
		unhex("c4 01000000 aa"),                           // and again
		unhex("04 ffffff 000001 08 01000000 00ffffff aa"), // the first that is extended
		unhex("46 000005 000001 09 bb"),                   // type 1 on a fresh chunk stream, as librtmp
	)
	want := []uint32{100, 200, 210, 230, 250, 0xfffffff0, 0x10, 0x1000010, 0x2000010, 0xffffff, 5}
	for piece := 1; piece < 40; piece++ {
		_, messages, _, err := parseAll(input, true, piece)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range messages {
			if m.timestamp != want[i] {
				t.Errorf("message %d is at %d, want %d", i, m.timestamp, want[i])
			}
		}
		if len(messages) != len(want) {
			t.Errorf("pieces of %d: %v", piece, messages)
		}
	}
}

func TestAbortDropsACommandInTheMaking(t *testing.T) {
	h := open(t, Options{})
	c := h.dial(true)
	half := msg(3, typeCommandAMF0, append(hello()[12:], make([]byte, 300)...))[:140]
	if err := put(c, half, msg(2, typeAbort, []byte{0, 0, 0, 3}), msg(2, typeAbort, []byte{0, 0, 0, 9}), hello(),
		msg(3, typeCommandAMF0, call("publish", "good"))); err != nil {
		t.Fatal(err)
	}
	h.until("publish", func() bool { return h.guests["good"] != nil })
}

func TestAbortDropsAPictureInTheMaking(t *testing.T) {
	h := open(t, Options{})
	c := h.granted("good")
	half := appendMessage(4, 1, uint8(TypeVideo), bytes.Repeat([]byte("half"), 50), 128)[:140]
	if err := put(c, half, msg(2, typeAbort, []byte{0, 0, 0, 4}), msg(4, uint8(TypeVideo), []byte("whole")), msg(8, typeCommandAMF0, call("deleteStream"))); err != nil {
		t.Fatal(err)
	}
	if cause, err := h.ends("good"); cause != EndUnpublish {
		t.Fatalf("ended as %v, %v", cause, err)
	}
	if got := h.guests["good"].messages; len(got) != 1 || string(got[0].Payload) != "whole" {
		t.Errorf("%v", got)
	}
}

func FuzzChunks(f *testing.F) {
	f.Add(hello(), false, 7)
	f.Add(cat(chunkSizeMessage(4096), hello(), msg(3, typeCommandAMF0, call("publish", "x"))), false, 100)
	f.Add(cat(announced(3, 9, 200, 128), unhex("c0 00"), make([]byte, 72)), true, 1)
	f.Add(unhex("04 ffffff 000001 08 01000000 fffffff0 aa 84 ffffff 01000000 aa c4 01000000 aa"), true, 3)
	f.Add(unhex("01 0102 000064 000000 09 01000000 c1 0102"), true, 2)
	f.Fuzz(func(t *testing.T, input []byte, published bool, piece int) {
		piece = min(max(piece, 1), 1<<16)
		out, messages, p, err := parseAll(input, published, piece)
		if len(p.streams) > maxChunkStreams || p.unfinished > maxUnfinishedBytes {
			t.Fatalf("%d chunk streams, %d bytes unfinished", len(p.streams), p.unfinished)
		}
		kept := 0
		for _, cs := range p.streams {
			kept += cap(cs.body)
		}
		if kept > maxUnfinishedBytes || !published && kept > maxChunkStreamsEarly*maxCommandBytes {
			t.Fatalf("%d bytes kept of %d", kept, len(input))
		}
		forwarded := slices.DeleteFunc(messages, func(m seen) bool {
			switch m.typ {
			case typeCommandAMF0, typeCommandAMF3, typeSetChunkSize:
				return false
			}
			return true
		})
		if got := lalSees(t, out); err == nil && !slices.Equal(got, forwarded) {
			t.Fatalf("lal sees %v, we see %v", got, forwarded)
		}
	})
}

// seenByLal reads what lal keeps to itself.
func seenByLal(s *rtmp.Stream) seen {
	header := reflect.ValueOf(s).Elem().FieldByName("header")
	return seen{
		typ:       uint8(header.FieldByName("MsgTypeId").Uint()),
		timestamp: uint32(header.FieldByName("TimestampAbs").Uint()),
		length:    int(header.FieldByName("MsgLen").Uint()),
	}
}
