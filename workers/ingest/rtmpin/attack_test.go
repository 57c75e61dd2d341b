package rtmpin

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net"
	"strings"
	"testing"
	"time"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func chunkSizeMessage(size uint32) []byte {
	return msg(2, typeSetChunkSize, binary.BigEndian.AppendUint32(nil, size))
}

// nested is an AMF0 command whose object nests so deep.
func nested(depth int) []byte {
	body := append(appendAMFString(nil, "connect"), amfNumber, 0, 0, 0, 0, 0, 0, 0, 0)
	for range depth {
		body = append(body, amfObject, 0, 1, 'a')
	}
	return body
}

// announced begins n messages of length bytes and completes none.
func announced(n int, typ byte, length uint32, payload int) []byte {
	var b []byte
	for i := range n {
		b = append(b, 0, byte(i), 0, 0, 0)
		b = appendUint24(b, length)
		b = append(b, typ, 1, 0, 0, 0)
		b = append(b, make([]byte, payload)...)
	}
	return b
}

// hello is what every RTMP client may send without a key.
func hello() []byte { return msg(3, typeCommandAMF0, connectCommand("live")) }

// TestAnonymousAttacksBounceOff sends docs/lal.md's table, and more, right
// behind the handshake: the connection must be closed with its reason, the
// neighbour must not notice, and memory must stay.
func TestAnonymousAttacksBounceOff(t *testing.T) {
	big := bytes.Repeat([]byte{amfBoolean, 1}, 8<<20)
	for name, tc := range map[string]struct {
		bytes  []byte
		reason string
	}{
		"P1 audio before publish":           {unhex("04 000000 000001 08 01000000 af"), "type 8 before publish"},
		"P2 empty user control":             {unhex("02 000000 000000 04 00000000"), "type 4 of 0 bytes"},
		"P3 ping without a timestamp":       {unhex("02 000000 000002 04 00000000 0006"), "ping without a timestamp"},
		"P4 aggregate":                      {unhex("04 000000 000011 16 01000000 04 000002 000000 00 000000 0006 0000000d"), "type 22 is not supported"},
		"P5 play twice":                     {cat(hello(), msg(8, typeCommandAMF0, call("play", "x")), msg(8, typeCommandAMF0, call("play", "x"))), "no such stream"},
		"P5 play then publish":              {cat(hello(), msg(8, typeCommandAMF0, call("play", "x")), msg(8, typeCommandAMF0, call("publish", "good"))), "no such stream"},
		"P5 publish refused then again":     {cat(hello(), msg(8, typeCommandAMF0, call("publish", "bad")), msg(8, typeCommandAMF0, call("publish", "good"))), "no such stream key"},
		"P6 chunk size and 5 MB of nesting": {cat(chunkSizeMessage(maxChunkSize), unhex("03 000000 4c4b40 14 00000000"), nested(1_250_000)), "type 20 of 5000000 bytes"},
		"P6 nesting that fits a command":    {cat(chunkSizeMessage(maxChunkSize), appendMessage(3, 0, typeCommandAMF0, nested(2000), maxCommandBytes)), "nested deeper than 8"},
		"M1 chunk size 1":                   {cat(chunkSizeMessage(1), announced(200, typeCommandAMF0, 0xffffff, 1)), "chunk size 1,"},
		"M1 many chunk streams":             {announced(200, typeCommandAMF0, maxCommandBytes, 128), "more than 8 chunk streams"},
		"M2 16 MB message":                  {announced(1, typeCommandAMF0, 0xffffff, 128), "type 20 of 16777215 bytes"},
		"M3 booleans":                       {cat(chunkSizeMessage(maxChunkSize), unhex("03 000000 ffffff 14 00000000"), big), "type 20 of 16777215 bytes"},
		"M3 booleans that fit a command":    {cat(chunkSizeMessage(maxChunkSize), appendMessage(3, 0, typeCommandAMF0, append(call("connect"), big[:8000]...), maxCommandBytes)), "more than 256 AMF values"},
		"M4 unknown types":                  {bytes.Repeat(unhex("04 000000 000001 63 00000000 00"), 100_000), "type 99 is not supported"},
		"M5 type 3 on fresh chunk streams":  {bytes.Repeat([]byte{0xc5, 0xc6, 0xc7}, 100_000), "type 3 chunk on a fresh chunk stream"},
		"M5 type 2 on a fresh chunk stream": {unhex("85 000000"), "type 2 chunk on a fresh chunk stream"},
		"H2 flood of pings":                 {bytes.Repeat(unhex("02 000000 000006 04 00000000 0006 00000000"), 100_000), "messages or bytes before publish"},
		"flood of commands":                 {cat(hello(), bytes.Repeat(msg(3, typeCommandAMF0, call("createStream")), 10_000)), "messages or bytes before publish"},
		"flood of empty chunk size changes": {bytes.Repeat(chunkSizeMessage(128), 50_000), "messages or bytes before publish"},
		"shared object":                     {unhex("04 000000 000001 13 00000000 00"), "type 19 is not supported"},
		"chunk size 0":                      {chunkSizeMessage(0), "chunk size 0,"},
		"chunk size of 32 bits":             {chunkSizeMessage(0xffffffff), "chunk size 4294967295,"},
		"short chunk size":                  {unhex("02 000000 000003 01 00000000 000080"), "type 1 of 3 bytes"},
		"chunk size inside a message":       {cat(unhex("03 000000 000100 14 00000000"), make([]byte, 128), chunkSizeMessage(4096)), "inside a message"},
		"message inside a message":          {cat(unhex("03 000000 000100 14 00000000"), make([]byte, 128), unhex("03 000000 000100 14 00000000")), "inside an unfinished one"},
		"data before publish":               {msg(4, 18, call("onMetaData")), "type 18 before publish"},
		"publish before connect":            {msg(3, typeCommandAMF0, call("publish", "good")), "publish before connect"},
		"play before connect":               {msg(3, typeCommandAMF0, call("play", "good")), "play before connect"},
		"createStream before connect":       {msg(3, typeCommandAMF0, call("createStream")), "createStream before connect"},
		"second connect":                    {cat(hello(), hello()), "second connect"},
		"connect without an app":            {msg(3, typeCommandAMF0, call("connect")), "connect without an app"},
		"publish without a name":            {cat(hello(), msg(3, typeCommandAMF0, call("publish"))), "publish without a stream name"},
		"publish with an endless name":      {cat(hello(), msg(3, typeCommandAMF0, call("publish", strings.Repeat("n", 512), strings.Repeat("n", 512)))[:30], make([]byte, 4000)), ""},
		"command of nothing":                {msg(3, typeCommandAMF0, []byte{5, 5, 5}), "without name or transaction id"},
		"command cut off":                   {msg(3, typeCommandAMF0, []byte{2, 0, 9, 'x'}), "cut off"},
		"command in AMF3":                   {msg(3, typeCommandAMF3, []byte{3, 2, 0, 9, 'x'}), "command in AMF3"},
		"strict array of 4 billion":         {msg(3, typeCommandAMF0, append(call("connect"), 0x0a, 0xff, 0xff, 0xff, 0xff)), "cut off"},
		"not RTMP at all":                   {nil, "not RTMP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t, Options{})
			h.neighbour()
			fits := heap(t, 64<<20) // of all the tests that run beside this one
			c := h.dial(tc.bytes != nil)
			if tc.bytes == nil {
				tc.bytes = []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			}
			_ = put(c, tc.bytes) // the door may close meanwhile
			h.shut(c)
			h.logged(tc.reason)
			fits()
			if len(h.guests) != 1 {
				t.Error("an attacker was admitted")
			}
		})
	}
}

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// TestAttacksOfAPublisherBounceOff: who has a key must not hurt others either.
func TestAttacksOfAPublisherBounceOff(t *testing.T) {
	for name, tc := range map[string]struct {
		bytes  []byte
		reason string
	}{
		"P4 aggregate":                 {unhex("04 000000 000011 16 01000000 04 000002 000000 00 000000 0006 0000000d"), "type 22 is not supported"},
		"P5 publish twice":             {msg(8, typeCommandAMF0, call("publish", "good-2")), "second publish or play"},
		"P5 publish then play":         {msg(8, typeCommandAMF0, call("play", "good")), "second publish or play"},
		"M1 many chunk streams":        {announced(100, 9, 128<<10, 128), "more than 32 chunk streams"},
		"M1 announced media":           {announced(2, 9, 7<<20, 128), "bytes of unfinished messages"},
		"M2 large media":               {announced(1, 9, maxMediaBytes+1, 128), "type 9 of 8388609 bytes"},
		"M3 metadata of 16 MB":         {announced(1, 18, 0xffffff, 128), "type 18 of 16777215 bytes"},
		"metadata without a name":      {msg(4, 18, []byte{0, 0, 0, 0}), "without a name"},
		"metadata with a name cut off": {msg(4, 18, []byte{2, 0xff, 0xff, 'x'}), "without a name"},
		"M4 unknown types":             {bytes.Repeat(unhex("04 000000 000001 0f 00000000 00"), 100_000), "type 15 is not supported"},
		"flood of pings":               {bytes.Repeat(unhex("02 000000 000006 04 00000000 0006 00000000"), 50_000), "messages or bytes without audio or video"},
		"flood of commands":            {bytes.Repeat(msg(3, typeCommandAMF0, call("createStream")), 20_000), "messages or bytes without audio or video"},
		"flood of empty media":         {cat(unhex("04 000000 000000 09 01000000"), bytes.Repeat([]byte{0xc4}, 300_000)), "messages or bytes without audio or video"},
		"flood of metadata":            {bytes.Repeat(msg(4, 18, append(call("onMetaData"), make([]byte, 60_000)...)), 10), "messages or bytes without audio or video"},
		"new chunk size inside video":  {cat(announced(1, 9, 1000, 128), chunkSizeMessage(4096)), "inside a message"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t, Options{})
			h.neighbour()
			c := h.granted("good-attacker")
			fits := heap(t, 64<<20)
			_ = put(c, tc.bytes) // the door may close meanwhile
			if got := h.shut(c); !bytes.Contains(got, []byte(codeFailed)) {
				t.Errorf("the reason was not told: %q", got)
			}
			if cause, err := h.ends("good-attacker"); cause != EndProtocol || !strings.Contains(err.Error(), tc.reason) {
				t.Errorf("ended as %v, %v", cause, err)
			}
			fits()
		})
	}
}

func TestSilentPeersAreClosed(t *testing.T) {
	h := open(t, Options{EarlyTimeout: time.Second})
	h.neighbour()
	began := time.Now()
	silent, shaken, dripping := h.dial(false), h.dial(true), h.dial(true)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // one byte after the other does not extend the deadline
		defer close(stopped)
		for _, b := range hello() {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			if put(dripping, []byte{b}) != nil {
				return
			}
		}
	}()
	h.shut(silent)
	h.shut(shaken)
	h.shut(dripping)
	close(stop)
	<-stopped
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	h.logged("no publish or play within 1s")
}

func TestPeerThatNeverReadsIsClosed(t *testing.T) {
	h := open(t, Options{WriteTimeout: 300 * time.Millisecond, IdleTimeout: time.Minute})
	h.neighbour()
	c := h.granted("good-deaf")
	_ = c.(*net.TCPConn).SetReadBuffer(64 << 10)
	ping, media := unhex("02 000000 000006 04 00000000 0006 00000000"), msg(4, 9, []byte{1})
	flood := bytes.Repeat(cat(ping, media), 1000)
	for put(c, flood) == nil {
	}
	if cause, err := h.ends("good-deaf"); cause != EndLost || !strings.Contains(err.Error(), "write to the peer") {
		t.Errorf("ended as %v, %v", cause, err)
	}
}

func TestPingsAreAnsweredAndBytesAcknowledged(t *testing.T) {
	h := open(t, Options{})
	c := h.granted("good")
	if err := put(c, unhex("02 000000 000006 04 00000000 0006 01020304"),
		msg(2, typeWindowAckSize, []byte{0, 2, 0, 0}), appendMessage(4, 1, 9, make([]byte, 200_000), 128)); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for one := make([]byte, 1); !bytes.Contains(got, unhex("000004 03 00000000 0001")) && !bytes.Contains(got, unhex("000004 03 00000000 0002")); {
		if _, err := c.Read(one); err != nil {
			t.Fatal(err)
		}
		got = append(got, one...)
	}
	if !bytes.Contains(got, unhex("000006 04 00000000 0007 01020304")) {
		t.Errorf("no pong in %x", got)
	}
}

func TestPlayIsAnsweredWithAReason(t *testing.T) {
	h := open(t, Options{})
	c := h.dial(true)
	if err := put(c, hello(), msg(8, typeCommandAMF0, call("play", "x"))); err != nil {
		t.Fatal(err)
	}
	if got := h.shut(c); !bytes.Contains(got, []byte(codePlayNotFound)) || !bytes.Contains(got, []byte("no such stream")) {
		t.Errorf("got %q", got)
	}
}
