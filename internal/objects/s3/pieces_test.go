package s3

import (
	"bytes"
	"testing"
	"testing/iotest"
)

func TestPiecesReadAsOneBody(t *testing.T) {
	for _, list := range [][][]byte{
		nil,
		{nil, []byte("a"), nil, nil, []byte("bcd"), nil},
		{bytes.Repeat([]byte("x"), 40_000), []byte("y"), bytes.Repeat([]byte("z"), 9_000)},
	} {
		if err := iotest.TestReader(newPieces(list), bytes.Join(list, nil)); err != nil {
			t.Error(err)
		}
	}
	// What one Read gives becomes a record of TLS.
	if n, err := newPieces([][]byte{make([]byte, 10), make([]byte, 20), make([]byte, 30)}).Read(make([]byte, 50)); n != 50 || err != nil {
		t.Errorf("%d bytes in one read of 50, %v", n, err)
	}
}
