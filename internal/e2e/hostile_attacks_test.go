package e2e

import (
	"bytes"
	"strings"
)

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

// known is the table of docs/lal.md, as it stands there: what kills or bloats a
// server that is made of lal alone. P7 and H1 have tests of their own, H2 is
// deaf. watched is the name of a stream that is on.
func known(watched string) map[string][]byte {
	play := message(8, 20, 1, amfCall("play", []byte{5}, amfText(watched)))
	hello := cat(message(3, 20, 0, amfConnect("play")), message(3, 20, 0, amfCall("createStream", []byte{5})))
	booleans := bytes.Repeat([]byte{1, 1}, 0xffffff/2-30)
	return map[string][]byte{
		"P1":                    unhex("04 000000 000001 08 01000000 af"),
		"P2":                    unhex("02 000000 000000 04 00000000"),
		"P3":                    unhex("02 000000 000002 04 00000000 0006"),
		"P4":                    unhex("04 000000 000011 16 01000000 04 000002 000000 00 000000 0006 0000000d"),
		"P5, play twice":        cat(hello, play, play),
		"P5, play then publish": cat(hello, play, message(8, 20, 1, amfCall("publish", []byte{5}, amfText(watched), amfText("live")))),
		"P6":                    cat(chunkSize(0x7fffffff), header(3, 0, 5_000_020, 20, 0), nesting(1_250_000)),
		"M1":                    cat(chunkSize(1), announcements(5000)),
		"M1, chunk size 128":    announcements(5000),
		"M2":                    cat(header(3, 0, 0xffffff, 20, 0), bytes.Repeat(append(make([]byte, 128), 0xc3), 100_000)),
		"M3":                    cat(chunkSize(0x7fffffff), header(3, 0, 0xffffff, 20, 0), amfCall("connect"), booleans),
		"M4":                    bytes.Repeat(unhex("04 000000 000001 63 00000000 00"), 200_000),
		"M5":                    bytes.Repeat([]byte{0xc5, 0xc6, 0xc7, 0xc8}, 200_000),
	}
}

// announcements begin messages of 16 MB on that many chunk streams.
func announcements(n int) (b []byte) {
	for i := range n {
		b = append(b, 1, byte(i), byte(i>>8), 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0, 0)
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
