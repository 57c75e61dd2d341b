package hub

import (
	"sync"
	"time"

	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

// batch is what came within one coalescing interval: the unit that viewers are
// sent, and that slow ones are not sent. It is filled by the stream and never
// changed once it is sealed; packed once for all viewers of a format.
type batch struct {
	seq     uint64
	start   bool      // a viewer may begin here: a key frame comes first, or there is no video
	before  *headers  // what a viewer must know who begins here
	after   *headers  // what it knows behind it
	began   time.Time // arrival of the first message
	sealed  time.Time
	bytes   int    // of the payloads
	through uint64 // payload bytes of the stream up to the end of this batch
	all     []rtmpin.Message

	packFLV, packRTMP sync.Once
	flv, rtmp         []byte
	flvAt             int
}

// packed is the batch in a format. Shared: not to be written to.
func (b *batch) packed(f Format) []byte {
	if f == RTMP {
		b.packRTMP.Do(func() {
			b.rtmp = appendRTMP(make([]byte, 0, b.bytes+b.bytes/ChunkSize*5+len(b.all)*20), b.all)
		})
		return b.rtmp
	}
	b.packFLV.Do(func() {
		b.flv, b.flvAt = chunk(b.bytes+len(b.all)*tagBytes, func(dst []byte) []byte { return appendTags(dst, b.all) })
	})
	if f == FLV {
		return b.flv[b.flvAt : len(b.flv)-2]
	}
	return b.flv
}

// prelude is what a viewer gets ahead of the batch that it begins, or goes on,
// with; first is true for its very first.
func (b *batch) prelude(f Format, first bool) []byte {
	all := b.before.messages(b.all[0].TimestampMS)
	if f == RTMP {
		return appendRTMP(nil, all)
	}
	var body []byte
	if first {
		body = flvHeader(b.before)
	}
	body = appendTags(body, all)
	if f == FLV || len(body) == 0 {
		return body
	}
	framed, _ := chunk(len(body), func(dst []byte) []byte { return append(dst, body...) })
	return framed
}
