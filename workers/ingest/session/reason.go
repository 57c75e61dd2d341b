package session

import (
	"errors"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/workers/ingest/demux"
	"github.com/roomcast/roomcast/workers/ingest/segment"
	"github.com/roomcast/roomcast/workers/ingest/upload"
)

// reasons is the only map from what ends a session to its code and to what the
// publisher and the key's owner are told. message "" = the error's own text.
var reasons = [...]struct {
	err           error
	code, message string
}{
	{demux.ErrUnsupported, "UNSUPPORTED_CODEC", ""},
	{demux.ErrMalformed, "MALFORMED_MEDIA", ""},
	{segment.ErrTooLarge, "SEGMENT_TOO_LARGE", ""},
	{control.ErrNoSpace, "STORAGE_FULL", "the server's storage is full"},
	{upload.ErrQueueFull, "STORAGE_SLOW", "the server's storage is slower than the stream"},
	{upload.ErrFenced, "LEASE_LOST", "the stream was taken over by another connection"},
	{upload.ErrEnded, "SHOW_ENDED", "the show has ended; publish again"},
}

func code(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.code
		}
	}
	return "STORAGE_FAILED"
}

func cause(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			if r.message == "" {
				return err.Error()
			}
			return r.message
		}
	}
	return "the server cannot store the stream"
}
