package rtmpin

import (
	"strings"
	"testing"

	"github.com/q191201771/lal/pkg/rtmp"
)

func TestCommandsAreTakenApart(t *testing.T) {
	body := appendAMFString(nil, "connect")
	body = append(body, amfNumber, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, amfObject)
	body = append(appendAMFText(body, "videoCodecs"), amfNumber, 0, 0, 0, 0, 0, 0, 0, 0)
	body = append(appendAMFText(body, "nested"), amfObject)
	body = appendAMFString(appendAMFText(body, "app"), "not this one")
	body = append(body, 0, 0, amfObjectEnd)
	body = append(appendAMFText(body, "list"), amfStrictArray, 0, 0, 0, 2, amfNull, amfBoolean, 1)
	body = append(appendAMFText(body, "ecma"), amfECMAArray, 0, 0, 0, 9, 0, 0, amfObjectEnd)
	body = appendAMFString(appendAMFText(body, "flashVer"), "FMLE/3.0")
	body = appendAMFString(appendAMFText(body, "app"), "live")
	body = append(body, 0, 0, amfObjectEnd)
	got, err := parseCommand(body)
	if err != nil || got.Name != "connect" || got.App != "live" || got.FlashVer != "FMLE/3.0" {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range body {
		if _, err := parseCommand(body[:n]); err == nil {
			t.Errorf("%d of %d bytes are no command", n, len(body))
		}
	}
	if got, err := parseCommand(call("publish", "key?mode=x", "live")); err != nil || got.Argument != "key?mode=x" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parseCommand(call("publish", strings.Repeat("k", 600))); err != nil {
		t.Error(err) // cut to 512 by appendAMFText: allowed
	}
}

func TestDepthAndValuesAreExact(t *testing.T) {
	object := func(depth int) []byte {
		b := nested(depth)
		b = append(b, amfNull)
		for range depth {
			b = append(b, 0, 0, amfObjectEnd)
		}
		return b
	}
	ignore := func(amfValue) {}
	if err := walkAMF(object(8), ignore); err != nil {
		t.Error(err)
	}
	if err := walkAMF(object(9), ignore); err == nil {
		t.Error("depth 9 passed")
	}
	values := make([]byte, 257)
	for i := range values {
		values[i] = amfNull
	}
	if err := walkAMF(values[:256], ignore); err != nil {
		t.Error(err)
	}
	if err := walkAMF(values, ignore); err == nil {
		t.Error("257 values passed")
	}
}

// FuzzAMF: what the checker lets pass, lal can read without a panic.
func FuzzAMF(f *testing.F) {
	f.Add(connectCommand("live"))
	f.Add(call("publish", "key", "live"))
	f.Add(nested(9))
	f.Add([]byte{amfECMAArray, 0, 0, 0, 1, 0, 1, 'a', amfDate, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, amfObjectEnd})
	f.Add([]byte{amfStrictArray, 0xff, 0xff, 0xff, 0xff, amfTypedObject, 0, 1, 'c', 0, 0, amfObjectEnd, amfLongString, 0, 0, 0, 1, 'x'})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxCommandBytes {
			return
		}
		var at []int // where top-level values begin is not told; count them
		count, deepest := 0, 0
		err := walkAMF(b, func(v amfValue) {
			count++
			deepest = max(deepest, v.Depth)
			if v.Depth == 0 {
				at = append(at, v.Index)
			}
		})
		if count > maxAMFValues || deepest > maxAMFDepth {
			t.Fatalf("%d values, depth %d", count, deepest)
		}
		for i, index := range at {
			if i != index {
				t.Fatalf("value %d has index %d", i, index)
			}
		}
		if c, perr := parseCommand(b); perr == nil && (err != nil || c.Name == "" && len(b) < 12) {
			t.Fatalf("%+v of a bad document: %v", c, err)
		}
		if err == nil {
			_, _, _ = rtmp.Amf0.ReadObject(b) // must not panic
		}
	})
}
