package transcode

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/internal/ladder"
	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/workers/ingest/demux"
)

// feedShift makes every composition offset that the child is fed unsigned: a
// publisher's smallest is -10 s (package demux), and no time is below 17 s
// (package timeline).
const feedShift = 10 * media.VideoTimescale

// maxFeedBytes bounds what waits for a child.
const maxFeedBytes = 96 << 20

// frame is one picture of a rendition: decoded and shown at the same time.
type frame struct {
	at   media.Ticks
	key  bool
	data []byte
}

// output is what a child has made of one rendition.
type output struct {
	config *media.Config // nil before the first picture
	frames []frame       // not taken yet
}

// child is one ffmpeg with the pictures that it was fed from a key frame on.
// feed, finish and kill never block. Safe for concurrent use.
type child struct {
	proc       *ffmpeg.Child
	renditions []ladder.Rendition
	wake       func()
	next       media.Ticks // where the last segment taken ends; the ladder's alone

	mu       sync.Mutex
	fed      chan struct{} // a token when there is something to write
	waiting  []media.AccessUnit
	bytes    int
	finished bool // nothing more is fed
	gone     bool // nothing more is made
	broken   error
	outs     []output
}

// startChild starts an ffmpeg for pictures of that configuration. wake is
// called when there is something to look at. work counts its goroutines.
func startChild(ctx context.Context, tool Tool, config media.Config, renditions []ladder.Rendition, work *sync.WaitGroup, wake func()) (*child, error) {
	header, err := cmaf.Init(config)
	if err != nil {
		return nil, err
	}
	proc, err := tool.Start(ctx, ffmpeg.Live(renditions), len(renditions))
	if err != nil {
		return nil, err
	}
	c := &child{proc: proc, renditions: renditions, wake: wake, fed: make(chan struct{}, 1), outs: make([]output, len(renditions))}
	var readers sync.WaitGroup
	for i, out := range proc.Outs {
		readers.Go(func() { c.fail(c.read(i, out)) })
	}
	ctx, cancel := context.WithCancel(ctx)
	written := make(chan struct{})
	go func() {
		defer close(written)
		_ = c.write(ctx, header) // its reader's end says why it is gone
		_ = proc.In.Close()
	}()
	work.Go(func() {
		readers.Wait()
		cancel()
		c.ended(proc.Wait())
		<-written
	})
	return c, nil
}

// feed hands one picture over.
func (c *child) feed(u media.AccessUnit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, u)
	c.bytes += len(u.Data)
	if c.bytes > maxFeedBytes && c.broken == nil {
		c.broken = errors.New("the encoder takes nothing")
	}
	c.signal()
}

// finish says that nothing more is fed.
func (c *child) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finished = true
	c.signal()
}

func (c *child) signal() {
	select {
	case c.fed <- struct{}{}:
	default:
	}
}

func (c *child) kill() { c.proc.Kill() }

func (c *child) fail(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	if c.broken == nil {
		c.broken = err
	}
	c.mu.Unlock()
	c.wake()
}

// ended notes the end: too early unless the input has ended.
func (c *child) ended(err error) {
	c.mu.Lock()
	c.gone = true
	if err == nil && !c.finished {
		err = errors.New("the encoder ended by itself")
	}
	if err != nil && c.broken == nil {
		c.broken = err
	}
	c.mu.Unlock()
	c.wake()
}

// write feeds one fragment a picture.
func (c *child) write(ctx context.Context, header []byte) error {
	if _, err := c.proc.In.Write(header); err != nil {
		return err
	}
	for n := uint32(1); ; {
		c.mu.Lock()
		list, end := c.waiting, c.finished
		c.waiting, c.bytes = nil, 0
		c.mu.Unlock()
		for _, u := range list {
			if err := writePicture(c.proc.In, n, u); err != nil {
				return err
			}
			n++
		}
		switch {
		case len(list) > 0:
			continue
		case end:
			return nil
		}
		select {
		case <-c.fed:
		case <-ctx.Done():
			return nil
		}
	}
}

func writePicture(w io.Writer, n uint32, u media.AccessUnit) error {
	sample := cmaf.Sample{
		DurationTicks: 1, OffsetTicks: uint32(u.CTS + feedShift), //nolint:gosec // not negative
		SizeBytes: uint32(len(u.Data)), Sync: u.Key, //nolint:gosec // bounded by the message size
	}
	if _, err := w.Write(cmaf.Header(n, u.DTS-feedShift, []cmaf.Sample{sample})); err != nil {
		return err
	}
	_, err := w.Write(u.Data)
	return err
}

const (
	flvHeader, flvTag = 9 + 4, 11
	maxFLVTag         = 16 << 20
)

// read takes an output in, FLV as ffmpeg writes it:
//
//	| header 9 | 0 32 | tag 11: type 8, size 24, time 24, time's high byte 8, 0 24 | body | size 32 | tag …
func (c *child) read(i int, r io.Reader) error {
	var d demux.Demuxer
	if _, err := io.CopyN(io.Discard, r, flvHeader); err != nil {
		return nonEOF(err)
	}
	for {
		var head [flvTag]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nonEOF(err)
		}
		size := int(head[1])<<16 | int(head[2])<<8 | int(head[3])
		ms := uint32(head[7])<<24 | uint32(head[4])<<16 | uint32(head[5])<<8 | uint32(head[6])
		if size > maxFLVTag {
			return fmt.Errorf("a tag of %d bytes", size)
		}
		body := make([]byte, size+4)
		if _, err := io.ReadFull(r, body); err != nil {
			return nonEOF(err)
		}
		if binary.BigEndian.Uint32(body[size:]) != uint32(size+flvTag) { //nolint:gosec // 24 bits
			return errors.New("the encoder's stream is torn")
		}
		if head[0] != 9 {
			continue
		}
		event, err := d.Video(body[:size])
		if err != nil {
			return err
		}
		c.arrived(i, event, media.Ticks(ms))
	}
}

// nonEOF makes the end of a stream no error: whether it came too early is
// another question.
func nonEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func (c *child) arrived(i int, event demux.Event, ms media.Ticks) {
	c.mu.Lock()
	out := &c.outs[i]
	if event.Config != nil {
		if out.config != nil && c.broken == nil {
			c.broken = errors.New("the encoder changed its configuration")
		}
		out.config = event.Config
	}
	if event.Data != nil {
		at := (ms + media.Ticks(event.CTSMillis)) * (media.VideoTimescale / 1000)
		out.frames = append(out.frames, frame{at: at, key: event.Key, data: event.Data})
	}
	c.mu.Unlock()
	c.wake()
}
