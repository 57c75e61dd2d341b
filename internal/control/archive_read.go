package control

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/manifest"
)

const (
	// indexParallel is how many index objects are read at once: 12 hours are
	// 2,160 of them, each a round trip of tens of milliseconds on S3.
	indexParallel  = 48
	deleteParallel = 16
)

// eachSegment hands every segment of a post's recording to add, in order: from
// the index objects, then from the live tail. The show is closed first. A
// number that is nowhere is left out. After a dead worker RecordTo may be up
// to two seconds too low: later segments belong to the recording while they
// began before its end. keep writes the objects of its opening.
func (s *Service) eachSegment(ctx context.Context, post broadcast.VideoPost, keep bool, add func(manifest.IndexSegment) error) error {
	p, err := s.closedShow(ctx, post.PlayID)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	o := opening{Service: s, post: post, keep: keep, begun: post.LiveFrom.IsZero()}
	err = s.eachFrom(ctx, p, &o, add)
	if (err == nil || errors.Is(err, errNoKeyFrame)) && !o.begun {
		o.anywhere = true
		err = s.eachFrom(ctx, p, &o, add)
	}
	return err
}

// eachFrom is eachSegment from where the recording is opened.
func (s *Service) eachFrom(ctx context.Context, p manifest.Presentation, o *opening, add func(manifest.IndexSegment) error) error {
	post, from, next := o.post, max(o.post.RecordFrom, 1), uint64(0)
	if !o.begun {
		from = max(from-1, 1) // open at go live
	}
	take := func(x manifest.IndexSegment) (err error) {
		if x.Number < from || x.Number < next || x.Number > post.RecordTo && x.StartedAt.After(post.CreatedAt) {
			return nil
		}
		next = x.Number + 1
		if !o.begun {
			if x, o.begun, err = o.begin(ctx, x); err != nil || !o.begun {
				return err
			}
		}
		return add(x)
	}
	if err := s.eachIndexed(ctx, post.PlayID, from, p.First, take); err != nil {
		return err
	}
	for n := max(from, p.First); n <= p.Last(); n++ {
		if err := take(p.IndexOf(n)); err != nil {
			return err
		}
	}
	return nil
}

// closedShow answers what is published of an ended show, closed.
func (s *Service) closedShow(ctx context.Context, id broadcast.PlayID) (manifest.Presentation, error) {
	read := func() (manifest.Presentation, error) {
		body, _, err := s.Objects.Get(ctx, liveFolder(id)+manifest.RecordName)
		if err != nil {
			return manifest.Presentation{}, fmt.Errorf("read the record of %s: %w", id, err)
		}
		p, err := manifest.ParseRecord(body)
		if err != nil {
			err = fmt.Errorf("%w: %w", errUnreadable, err)
		}
		return p, err
	}
	p, err := read()
	if err != nil || p.Ended {
		return p, err
	}
	if err := s.CloseShow(ctx, id); err != nil {
		return p, err
	}
	return read()
}

// eachIndexed reads the index objects that cover the numbers from up to, but
// not including, until.
func (s *Service) eachIndexed(ctx context.Context, id broadcast.PlayID, from, until uint64, take func(manifest.IndexSegment) error) error {
	first := (from-1)/manifest.IndexSize*manifest.IndexSize + 1
	for ; first < until; first += indexParallel * manifest.IndexSize {
		batch := make([]manifest.Index, min(indexParallel, (until-first+manifest.IndexSize-1)/manifest.IndexSize))
		err := inParallel(len(batch), indexParallel, func(i int) error {
			key := liveFolder(id) + manifest.IndexName(first+uint64(i)*manifest.IndexSize) //nolint:gosec // i is an index
			body, _, err := s.Objects.Get(ctx, key)
			if errors.Is(err, ErrNotFound) {
				s.Log.WarnContext(ctx, "an index object is missing: its segments are not in the recording", "object", key)
				return nil
			}
			if err != nil {
				return fmt.Errorf("read %s: %w", key, err)
			}
			if batch[i], err = manifest.ParseIndex(body); err != nil {
				return fmt.Errorf("%s: %w: %w", key, errUnreadable, err)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, x := range batch {
			for _, segment := range x.Segments {
				if segment.Number >= until {
					break
				}
				if err := take(segment); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// inParallel calls do for 0 to n-1, most of them at once, and waits for all.
func inParallel(n, most int, do func(i int) error) error {
	errs := make([]error, n)
	places := make(chan struct{}, most)
	var work sync.WaitGroup
	for i := range n {
		places <- struct{}{}
		work.Go(func() {
			defer func() { <-places }()
			errs[i] = do(i)
		})
	}
	work.Wait()
	return errors.Join(errs...)
}
