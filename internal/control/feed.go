package control

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

const (
	// feedKept is how long events can be read and delivered again.
	feedKept = 30 * 24 * time.Hour
	// outboxBatch is how many notices one step of the outbox places.
	outboxBatch = 100
	feedPurge   = 500
	// LongestWait is the longest that Events waits.
	LongestWait = 20 * time.Second
	// feedLook is how often a waiting reader looks where no bell rings.
	feedLook = time.Second
	// pollPause is what a reader that may not wait is asked to pause.
	pollPause = 2 * time.Second
)

// FeedFilter names a feed: an app's, or that of one of its members.
type FeedFilter struct {
	AppID    broadcast.AppID
	MemberID broadcast.MemberID // "" = the whole app
}

// FeedEvent is a notice with its place in its app's feed.
type FeedEvent struct {
	Notice
	// Position rises within an app; there may be gaps.
	Position uint64
}

// NoticeRef names a notice.
type NoticeRef struct {
	Aggregate string
	Sequence  uint64
}

// Feed is the outbox of notices and what became of them. A notice is written
// by Changes; it has no place in the feed until Place gives it one, so that no
// reader misses what was committed late. Safe for concurrent use.
type Feed interface {
	// Unplaced answers at most limit notices without a place. Those of one
	// aggregate come in the order of Sequence, and none before those below it.
	Unplaced(ctx context.Context, limit int) ([]Notice, error)
	// UnplacedOf answers those of these notices, and of the ones below them in
	// their aggregates, that have no place; ordered as Unplaced. Consistent.
	UnplacedOf(ctx context.Context, refs []NoticeRef) ([]Notice, error)
	// Place gives the notices the next positions of their apps in this order.
	// One that has its place keeps it. Where it fails, the first ones may have
	// theirs.
	Place(ctx context.Context, list []Notice) error
	// Feed answers at most limit events behind position after, in order.
	Feed(ctx context.Context, f FeedFilter, after uint64, limit int) ([]FeedEvent, error)
	// FeedEnd is the highest position that the app ever had; 0 = none.
	FeedEnd(ctx context.Context, app broadcast.AppID) (uint64, error)
	// Notice and NoticeAt answer one notice, placed or not, or ErrNotFound.
	Notice(ctx context.Context, id broadcast.EventID) (Notice, error)
	NoticeAt(ctx context.Context, aggregate string, sequence uint64) (Notice, error)
	// PurgeFeed removes at most limit placed notices from before and says how
	// many. A store that forgets them by itself answers 0.
	PurgeFeed(ctx context.Context, before time.Time, limit int) (int, error)
}

// PlaceNotices is the outbox's step: every notice that has no place yet wakes
// its deliveries and gets one. A step that died in between is done again; what
// was woken twice is delivered twice at most.
func (s *Service) PlaceNotices(ctx context.Context) error {
	for {
		list, err := s.Feed.Unplaced(ctx, outboxBatch)
		if err != nil {
			return fmt.Errorf("look for new notices: %w", err)
		}
		if err := s.place(ctx, list); err != nil {
			return err
		}
		if len(list) < outboxBatch {
			return nil
		}
	}
}

// PlaceNoticesOf does the same for what is known to be new, and for what came
// before it.
func (s *Service) PlaceNoticesOf(ctx context.Context, refs []NoticeRef) error {
	list, err := s.Feed.UnplacedOf(ctx, refs)
	if err != nil {
		return fmt.Errorf("read new notices: %w", err)
	}
	return s.place(ctx, list)
}

func (s *Service) place(ctx context.Context, list []Notice) error {
	if len(list) == 0 {
		return nil
	}
	if err := s.wake(ctx, list); err != nil {
		return fmt.Errorf("wake deliveries: %w", err)
	}
	if err := s.Feed.Place(ctx, list); err != nil {
		return fmt.Errorf("place notices: %w", err)
	}
	s.Bell.Ring()
	return nil
}

// PurgeFeed removes events that are older than 30 days.
func (s *Service) PurgeFeed(ctx context.Context) error {
	for {
		n, err := s.Feed.PurgeFeed(ctx, s.Now().Add(-feedKept), feedPurge)
		if err != nil {
			return fmt.Errorf("remove old events: %w", err)
		}
		if n < feedPurge {
			return nil
		}
	}
}

// EventsQuery asks for part of a feed.
type EventsQuery struct {
	// After is Next of the answer before; "" = the oldest event that is kept,
	// "latest" = what comes from now on.
	After string
	Limit int
	Wait  time.Duration
}

// EventList is part of a feed.
type EventList struct {
	Items []Notice
	Next  string
	// PollAfter is when to ask again: 0 = at once, with a wait.
	PollAfter time.Duration
}

// Events answers the caller's events in feed order: an app's, or those of the
// member's own key and rooms. It returns as soon as there are any, at the
// latest after q.Wait, which the installation may cap.
func (s *Service) Events(ctx context.Context, c Caller, q EventsQuery) (EventList, error) {
	after, err := s.feedStart(ctx, c, q.After)
	if err != nil {
		return EventList{}, err
	}
	longest := min(q.Wait, LongestWait, s.MaxWait)
	until := s.Now().Add(longest)
	f := FeedFilter{AppID: c.AppID, MemberID: c.MemberID}
	for {
		rung := s.Bell.Wait()
		events, err := s.Feed.Feed(ctx, f, after, q.Limit)
		if err != nil {
			return EventList{}, fmt.Errorf("read the feed of %s: %w", c.AppID, err)
		}
		left := until.Sub(s.Now())
		if len(events) > 0 || left <= 0 || q.Wait <= 0 {
			return s.eventList(events, after, q, longest), nil
		}
		if err := s.await(ctx, rung, min(left, feedLook)); err != nil {
			return EventList{}, err
		}
	}
}

// await returns when the bell rings, or after d.
func (s *Service) await(ctx context.Context, rung <-chan struct{}, d time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan error, 1)
	go func() { over <- s.Wait(ctx, d) }()
	select {
	case <-rung:
		cancel()
		<-over
		return nil
	case err := <-over:
		return err
	}
}

func (s *Service) eventList(events []FeedEvent, after uint64, q EventsQuery, longest time.Duration) EventList {
	list := EventList{PollAfter: pollPause}
	oldest := s.Now().Add(-feedKept)
	for _, e := range events {
		after = e.Position
		if e.At.After(oldest) {
			list.Items = append(list.Items, e.Notice)
		}
	}
	if len(events) >= q.Limit || longest > 0 {
		list.PollAfter = 0
	}
	list.Next = strconv.FormatUint(after, 10)
	return list
}

func (s *Service) feedStart(ctx context.Context, c Caller, after string) (uint64, error) {
	switch after {
	case "":
		return 0, nil
	case "latest":
		end, err := s.Feed.FeedEnd(ctx, c.AppID)
		if err != nil {
			return 0, fmt.Errorf("read the end of the feed: %w", err)
		}
		return end, nil
	}
	n, err := strconv.ParseUint(after, 10, 63)
	if err != nil {
		return 0, refuse(broadcast.CodeInvalidCursor, "after is none of this feed's")
	}
	return n, nil
}

// Event answers one event of the caller's app.
func (s *Service) Event(ctx context.Context, c Caller, id broadcast.EventID) (Notice, error) {
	n, err := s.Feed.Notice(ctx, id)
	if err == nil && (n.AppID != c.AppID || !n.At.After(s.Now().Add(-feedKept))) {
		err = ErrNotFound
	}
	if errors.Is(err, ErrNotFound) {
		return Notice{}, refuse(broadcast.CodeEventNotFound, "there is no such event")
	}
	return n, err
}
