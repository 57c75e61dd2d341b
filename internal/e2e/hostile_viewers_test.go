package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/roomcast/roomcast/internal/rtmpout"
)

// lagBound is how late a viewer may get anything: what players have in their
// buffers, so that the audience sees nothing of it.
const lagBound = 5 * time.Second

// airtime notes when each round of the source's messages went out, so that a
// viewer knows how late it gets one.
type airtime struct {
	mu   sync.Mutex
	sent []time.Time
}

func (a *airtime) wrote() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent = append(a.sent, time.Now())
}

// of is when the n-th message went out; it may be on its way still.
func (a *airtime) of(n int) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n >= len(a.sent) {
		return time.Now()
	}
	return a.sent[n]
}

func (a *airtime) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.sent)
}

// playFLV plays over HTTP-FLV: every access unit of the source must come, in
// order, with its bytes, and in time. It answers how many came.
func playFLV(ctx context.Context, url string, source []rtmpout.Tag, air *airtime) (n int, err error) {
	resp, err := fetch(ctx, url)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	next := -1
	for tag, err := range rtmpout.ReadFLV(resp.Body) {
		switch {
		case ctx.Err() != nil:
			return n, nil
		case err != nil:
			return n, fmt.Errorf("after %d messages: %w", n, err)
		case isHeader(tag):
			continue
		}
		if next < 0 { // a viewer begins at a key frame
			at := slices.IndexFunc(source, func(s rtmpout.Tag) bool { return s.Type == tag.Type && bytes.Equal(s.Payload, tag.Payload) })
			if at < 0 {
				return 0, errors.New("the first message is not of the source")
			}
			next = at + (air.count()-1-at)/len(source)*len(source) // the newest round that has it
		}
		for isHeader(source[next%len(source)]) {
			next++
		}
		if want := source[next%len(source)]; want.Type != tag.Type || !bytes.Equal(want.Payload, tag.Payload) {
			return n, fmt.Errorf("message %d is not the one that follows", n)
		}
		if late := time.Since(air.of(next)); n > 0 && late > lagBound {
			return n, fmt.Errorf("message %d came %s late", n, late)
		}
		next++
		n++
	}
	if ctx.Err() != nil {
		return n, nil
	}
	return n, fmt.Errorf("the stream ended after %d messages", n)
}

// isHeader is true for what is no access unit: what encoders and servers say
// again as they like, and the end of a sequence.
func isHeader(g rtmpout.Tag) bool {
	return g.Type == rtmpout.TypeData || len(g.Payload) < 2 || g.Payload[1] != 1
}

// playHLS plays a media playlist as players do: every segment once, without a
// hole in numbers or times, and in time. It answers how many came.
func playHLS(ctx context.Context, url string) (n int, err error) {
	base := url[:len(url)-len("v.m3u8")]
	next, ends, newest := -1, uint64(0), time.Now()
	for ctx.Err() == nil {
		text, err := whole(ctx, url)
		if err != nil {
			return n, err
		}
		first, list := mediaPlaylist(string(text))
		if next < 0 {
			next = first + max(0, len(list)-3)
		}
		if next < first {
			return n, fmt.Errorf("segment %d has left the playlist", next)
		}
		for ; next < first+len(list); next++ {
			b, err := whole(ctx, base+list[next-first].name)
			if err != nil {
				return n, err
			}
			begins, end, err := segmentTimes(b)
			if err != nil {
				return n, fmt.Errorf("segment %d: %w", next, err)
			}
			if n > 0 && begins != ends {
				return n, fmt.Errorf("segment %d begins at %d, the one before ended at %d", next, begins, ends)
			}
			ends, newest = end, time.Now()
			n++
		}
		if wait := time.Since(newest); wait > 2*time.Second+lagBound {
			return n, fmt.Errorf("no new segment for %s", wait)
		}
		select {
		case <-ctx.Done():
		case <-time.After(300 * time.Millisecond):
		}
	}
	return n, nil
}

// segmentTimes are the decode times of the first sample and behind the last.
func segmentTimes(b []byte) (begins, ends uint64, err error) {
	f, err := mp4.DecodeFile(bytes.NewReader(b))
	if err != nil {
		return 0, 0, err
	}
	if len(f.Segments) != 1 || len(f.Segments[0].Fragments) != 1 {
		return 0, 0, errors.New("not one fragment")
	}
	traf := f.Segments[0].Fragments[0].Moof.Traf
	begins = traf.Tfdt.BaseMediaDecodeTime()
	ends = begins
	for _, s := range traf.Trun.Samples {
		ends += uint64(s.Dur)
	}
	return begins, ends, nil
}

func fetch(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return resp, nil
}

// whole is an object; the end of ctx is no error.
func whole(ctx context.Context, url string) ([]byte, error) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), lagBound)
	defer cancel()
	resp, err := fetch(within, url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}
