package rtmpout

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// flvFile is a header and tags.
func flvFile(tags ...Tag) []byte {
	b := append([]byte("FLV\x01\x05"), 0, 0, 0, 9, 0, 0, 0, 0)
	for _, t := range tags {
		n := len(t.Payload)
		b = append(b, byte(t.Type), byte(n>>16), byte(n>>8), byte(n),
			byte(t.TimestampMS>>16), byte(t.TimestampMS>>8), byte(t.TimestampMS), byte(t.TimestampMS>>24), 0, 0, 0)
		b = append(b, t.Payload...)
		n += 11
		b = append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return b
}

func readAll(b []byte) (tags []Tag, err error) {
	for t, err := range ReadFLV(bytes.NewReader(b)) {
		if err != nil {
			return tags, err
		}
		tags = append(tags, t)
	}
	return tags, nil
}

func TestFLVTagsAreRead(t *testing.T) {
	want := []Tag{
		{TypeData, 0, []byte("meta")},
		{TypeVideo, 0x01020304, bytes.Repeat([]byte{7}, 70_000)},
		{TypeAudio, 0xffffffff, nil},
	}
	got, err := readAll(flvFile(want[0], Tag{Type: 15, Payload: []byte("of another kind")}, want[1], want[2]))
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d tags, %v", len(got), err)
	}
	for i := range want {
		if got[i].Type != want[i].Type || got[i].TimestampMS != want[i].TimestampMS || !bytes.Equal(got[i].Payload, want[i].Payload) {
			t.Errorf("tag %d differs", i)
		}
	}
}

func TestDamagedFLVSaysWhere(t *testing.T) {
	whole := flvFile(Tag{TypeVideo, 0, []byte("abc")}, Tag{TypeVideo, 1, []byte("def")})
	for n := range whole {
		_, err := readAll(whole[:n])
		ends := n == 13 || n == 27 || n == 31 || n == len(whole)-4 // behind header, tag, its size
		if (err == nil) != ends || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for what, damage := range map[string]func([]byte){
		"not an FLV file":      func(b []byte) { b[0] = 'X' },
		"data offset":          func(b []byte) { b[5] = 0xff },
		"encrypted":            func(b []byte) { b[13] |= 0x20 },
		"previous tag size":    func(b []byte) { b[30]++ },
		"FLV tag at byte 31: ": func(b []byte) { b[31] |= 0x20 },
	} {
		b := bytes.Clone(whole)
		damage(b)
		if _, err := readAll(b); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestFFmpegsFLVIsRead(t *testing.T) {
	b, err := exec.CommandContext(t.Context(), "ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25",
		"-f", "lavfi", "-i", "sine", "-t", "1", "-c:v", "libx264", "-c:a", "aac", "-f", "flv", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	tags, err := readAll(b)
	if err != nil || len(tags) < 60 {
		t.Errorf("%d tags, %v", len(tags), err)
	}
	round, period, err := prepare(tags)
	if err != nil || period < 1000 || period > 1050 || len(round) != len(tags)-1 {
		t.Errorf("%d tags of %d take %d ms, %v", len(round), len(tags), period, err)
	}
}

func FuzzReadFLV(f *testing.F) {
	f.Add(flvFile(Tag{TypeVideo, 0, []byte("abc")}, Tag{TypeAudio, 1 << 24, nil}))
	f.Add([]byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00\x09\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tags, err := readAll(b)
		total := 0
		for _, tag := range tags {
			total += len(tag.Payload)
		}
		if total > len(b) {
			t.Fatalf("%d payload bytes of %d", total, len(b))
		}
		if err == nil && len(tags) > 0 {
			_, _, _ = prepare(tags) // must not panic
		}
	})
}

func FuzzParseAnswer(f *testing.F) {
	f.Add(appendAMF(nil, "onStatus", 0.0, null{}, []pair{{"level", "error"}, {"code", "c"}, {"description", "d"}}))
	f.Add(appendAMF(nil, "_result", 4.0, null{}, 1.0))
	f.Fuzz(func(_ *testing.T, b []byte) { parseAnswer(b) })
}
