package hub

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

func TestMessagesAreFramedAsTheStandardsSay(t *testing.T) {
	m := rtmpin.Message{Type: rtmpin.TypeVideo, TimestampMS: 0x12345678, Payload: []byte{0x17, 1, 2}}
	late := rtmpin.Message{Type: rtmpin.TypeAudio, TimestampMS: 0x010203, Payload: bytes.Repeat([]byte{0xaf}, ChunkSize+2)}
	for _, c := range []struct {
		what, got, want string
	}{
		{"tag", hex.EncodeToString(appendTags(nil, []rtmpin.Message{m})), "09 000003 345678 12 000000 170102 0000000e"},
		{"extended timestamp", hex.EncodeToString(appendRTMP(nil, []rtmpin.Message{m})), "06 ffffff 000003 09 01000000 12345678 170102"},
		{"first chunk", hex.EncodeToString(appendRTMP(nil, []rtmpin.Message{late})[:13]), "04 010203 00ea62 08 01000000 af"},
		{"second chunk", hex.EncodeToString(appendRTMP(nil, []rtmpin.Message{late})[12+ChunkSize:]), "c4 af af"},
	} {
		if want := strings.ReplaceAll(c.want, " ", ""); c.got != want {
			t.Errorf("%s: %s, want %s", c.what, c.got, want)
		}
	}
	framed, at := chunk(3, func(b []byte) []byte { return append(b, "abc"...) })
	if string(framed) != "3\r\nabc\r\n" || at != 3 {
		t.Errorf("chunk %q at %d", framed, at)
	}
}

func TestUselessAndUncheckedPayloadsNeverPanic(t *testing.T) {
	for typ := range 32 {
		for _, p := range [][]byte{nil, {}, {0}, {0x17}, {0x80}, {0x9f, 0}, {0xaf}, {0x90}, {0x17, 0, 0}, {2, 0, 13}, {0x97, 'h', 'v', 'c'}} {
			m := rtmpin.Message{Type: rtmpin.MessageType(typ), Payload: p}
			if k := classify(m); len(p) < 2 && m.Type != rtmpin.TypeData && k != useless {
				t.Errorf("type %d %x is %d", typ, p, k)
			}
		}
	}
	for want, p := range map[kind][]byte{
		keyFrame: {0x90 | 1, 'h', 'v', 'c', '1', 0}, videoHeader: {0x90, 'a', 'v', '0', '1', 0}, plain: {0xa0 | 3, 'h', 'v', 'c', '1', 0},
	} {
		if got := classify(rtmpin.Message{Type: rtmpin.TypeVideo, Payload: p}); got != want {
			t.Errorf("enhanced %x is %d, want %d", p, got, want)
		}
	}
}
