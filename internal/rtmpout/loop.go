package rtmpout

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Loop publishes FLV tags in real time, over and over, as an encoder would:
// timestamps rise across the repeats without a jump. What a file begins with
// (metadata, sequence headers) is sent again each time round, which is legal
// where it has not changed.
type Loop struct {
	URL string
	// Tags are a whole file's, in its order. They are not changed.
	Tags []Tag
	// Times is how often they are sent; 0: without end.
	Times int
	// Client is for Dial; its clock paces the loop too.
	Client Options
	// Reconnect retries after a refusal or a loss, with a pause of 1 s that
	// doubles up to 10 s; a new connection starts with the first tag and time 0.
	Reconnect bool
	// GoesOn makes a new connection go on where the loop is by then, with the
	// next key frame, as an encoder does that never stopped; its time is 0 then.
	GoesOn bool
	// Connected, when set, is called after each granted publish.
	Connected func()
	// Retrying, when set, is called before each pause with what went wrong.
	Retrying func(err error, pause time.Duration)
}

const firstPause, lastPause = time.Second, 10 * time.Second

// Run publishes until Times is reached (nil), ctx ends (ctx's error, after a
// clean unpublish) or, without Reconnect, the publish fails.
func (l Loop) Run(ctx context.Context) error {
	round, period, err := prepare(l.Tags)
	if err != nil {
		return err
	}
	if _, err := parseURL(l.URL); err != nil {
		return err // no retry will mend it
	}
	pause, begun := firstPause, time.Time{}
	for {
		connected, err := l.publish(ctx, round, period, &begun)
		if err == nil || !l.Reconnect || ctx.Err() != nil {
			return err
		}
		if connected {
			pause = firstPause
		}
		if l.Retrying != nil {
			l.Retrying(err, pause)
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, lastPause)
	}
}

// publish is one connection's life. begun is send's.
func (l Loop) publish(ctx context.Context, round []Tag, period uint32, begun *time.Time) (connected bool, err error) {
	c, err := Dial(ctx, l.URL, l.Client)
	if err != nil {
		return false, err
	}
	if l.Connected != nil {
		l.Connected()
	}
	stop := context.AfterFunc(ctx, func() { c.deadline(closeTimeout) }) // a write to a server that does not read
	defer stop()
	if !l.GoesOn {
		*begun = time.Time{}
	}
	if err := l.send(ctx, c, round, period, begun); err != nil && ctx.Err() == nil {
		c.Abort() // mostly gone already
		return true, err
	}
	if err := c.Close(); err != nil {
		return true, fmt.Errorf("unpublish: %w", err)
	}
	return true, ctx.Err()
}

// send writes the rounds, each tag when it is due, from where the loop is now
// that began at begun; zero = it begins, and notes when.
func (l Loop) send(ctx context.Context, c *Client, round []Tag, period uint32, begun *time.Time) error {
	n, first := 0, 0
	if begun.IsZero() {
		*begun = l.Client.Now()
	} else {
		n, first = position(round, period, l.Client.Now().Sub(*begun))
	}
	for _, tag := range round[:first] {
		if tag.Type == TypeData || isConfiguration(tag) {
			if err := c.Write(tag.Type, 0, tag.Payload); err != nil {
				return err
			}
		}
	}
	zero := due(round[first], n, period)
	for ; l.Times == 0 || n < l.Times; n, first = n+1, 0 {
		for _, tag := range round[first:] {
			at := due(tag, n, period)
			if err := waitFor(ctx, c, begun.Add(at).Sub(l.Client.Now())); err != nil {
				return err
			}
			timestamp := uint32((at - zero).Milliseconds()) //nolint:gosec // wraps as RTMP timestamps do
			if err := c.Write(tag.Type, timestamp, tag.Payload); err != nil {
				return err
			}
		}
	}
	return nil
}

// position answers the round, and the tag in it, of the next key frame of a loop
// that is at elapsed.
func position(round []Tag, period uint32, elapsed time.Duration) (n, first int) {
	for n = int(elapsed / (time.Duration(period) * time.Millisecond)); ; n++ {
		for i, tag := range round {
			if isKeyFrame(tag) && due(tag, n, period) >= elapsed {
				return n, i
			}
		}
		if due(round[0], n, period) >= elapsed {
			return n, 0 // a loop without key frames
		}
	}
}

// due is when a tag of round n is sent.
func due(tag Tag, n int, period uint32) time.Duration {
	return time.Duration(n)*time.Duration(period)*time.Millisecond + time.Duration(tag.TimestampMS)*time.Millisecond
}

// waitFor pauses, unless the server ends the publish.
func waitFor(ctx context.Context, c *Client, d time.Duration) error {
	if d > 0 {
		pause, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		select {
		case <-pause.Done():
		case <-c.Done():
		}
	}
	if err := c.Err(); err != nil {
		return err
	}
	return ctx.Err()
}

func wait(ctx context.Context, d time.Duration) error {
	pause, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-pause.Done()
	return ctx.Err()
}

// prepare rebases the tags to time 0, gives data tags the form that publishers
// send, drops AVC end of sequence, and returns the time that one round takes:
// the longest track's, from its first frame to one more step behind its last.
func prepare(tags []Tag) (round []Tag, periodMS uint32, err error) {
	type track struct {
		begun             bool
		first, last, step uint32
	}
	tracks := map[MessageType]track{}
	for _, t := range tags {
		if t.Type == TypeData {
			t.Payload = append(appendAMF(nil, "@setDataFrame"), t.Payload...)
		} else if isEndOfSequence(t) {
			continue
		}
		t.TimestampMS -= tags[0].TimestampMS
		round = append(round, t)
		if t.Type == TypeData || isConfiguration(t) {
			continue
		}
		k := tracks[t.Type]
		if !k.begun {
			k = track{begun: true, first: t.TimestampMS, last: t.TimestampMS}
		} else if t.TimestampMS > k.last {
			k.last, k.step = t.TimestampMS, t.TimestampMS-k.last
		}
		tracks[t.Type] = k
		periodMS = max(periodMS, k.last-k.first+k.step)
	}
	if periodMS == 0 {
		return nil, 0, errors.New("the FLV holds no audio or video that takes time")
	}
	return round, periodMS, nil
}

// isConfiguration tells AVC and AAC sequence headers (E.4.2.2, E.4.3.1), whose
// timestamps say nothing.
func isConfiguration(t Tag) bool {
	if len(t.Payload) < 2 || t.Payload[1] != 0 {
		return false
	}
	return t.Type == TypeVideo && t.Payload[0]&0x8f == 0x07 || t.Type == TypeAudio && t.Payload[0]>>4 == 10
}

// isEndOfSequence tells ffmpeg's last video tag (AVCPacketType 2, E.4.3.1).
func isEndOfSequence(t Tag) bool {
	return t.Type == TypeVideo && len(t.Payload) >= 2 && t.Payload[0]&0x8f == 0x07 && t.Payload[1] == 2
}

// isKeyFrame tells a picture that a decoder can begin with (E.4.3.1, and the
// frame type of enhanced RTMP, which lies in the same bits but the highest).
func isKeyFrame(t Tag) bool {
	return t.Type == TypeVideo && len(t.Payload) > 1 && t.Payload[0]>>4&7 == 1 && !isConfiguration(t) && t.Payload[0]&0x8f != 0x80
}
