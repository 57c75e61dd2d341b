package rtmpin

import (
	"bytes"
	"strings"
	"testing"
)

// Metadata comes in every shape, late and again and again; it is handed on as
// it came, and what it says is believed by nobody. None of these publishers
// says FCPublish.
func TestMetadataOfAnyShapeAndAtAnyTimeEndsNobody(t *testing.T) {
	name := func(s string) []byte { return appendAMFString(nil, s) }
	object := func(b []byte) []byte {
		return append(appendAMFText(append(b, amfObject), "width"), amfNull, 0, 0, amfObjectEnd)
	}
	for what, body := range map[string][]byte{
		"an object":                   object(name("onMetaData")),
		"an array":                    append(name("onMetaData"), amfECMAArray, 0, 0, 0, 0, 0, 0, amfObjectEnd),
		"an array that says it holds": append(name("onMetaData"), amfECMAArray, 0xff, 0xff, 0xff, 0xff, 0, 0, amfObjectEnd),
		"@setDataFrame":               object(append(name("@setDataFrame"), name("onMetaData")...)),
		"nothing behind the name":     name("@setDataFrame"),
		"a number":                    append(name("onMetaData"), amfNumber, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0),
		"not a number of AMF":         append(name("onMetaData"), 0x77, 1, 2, 3),
		"cut off":                     append(name("onMetaData"), amfObject, 0, 5, 'w'),
		"nested without end":          append(name("onMetaData"), bytes.Repeat([]byte{amfObject, 0, 1, 'a'}, 10_000)...),
		"another name":                append(name("onCuePoint"), amfNull),
		"no name at all":              append(name(""), amfNull),
		"no UTF-8":                    append(name("onMetaData"), amfString, 0, 2, 0xff, 0xfe),
		"60 kB":                       append(name("onMetaData"), append([]byte{amfLongString, 0, 0, 0xea, 0x60}, make([]byte, 60_000)...)...),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			h := open(t, Options{})
			c := h.granted("good")
			picture := msg(4, uint8(TypeVideo), []byte(strings.Repeat("p", 300)))
			if err := put(c, picture, msg(5, uint8(TypeData), body), picture, msg(5, uint8(TypeData), body), picture,
				msg(8, typeCommandAMF0, call("deleteStream"))); err != nil {
				t.Fatal(err)
			}
			if cause, err := h.ends("good"); cause != EndUnpublish {
				t.Errorf("ended as %v, %v", cause, err)
			}
			var kinds []MessageType
			for _, m := range h.guests["good"].messages {
				kinds = append(kinds, m.Type)
				if m.Type == TypeData && !bytes.Equal(m.Payload, body) {
					t.Errorf("%d bytes were handed on, %d were sent", len(m.Payload), len(body))
				}
			}
			if len(kinds) != 5 || kinds[1] != TypeData || kinds[3] != TypeData {
				t.Errorf("got messages of types %v", kinds)
			}
		})
	}
}
