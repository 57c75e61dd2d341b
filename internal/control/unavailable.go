package control

import (
	"context"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// nobody stands for the way to customers where an installation has none yet:
// every call is ErrUnavailable.
type nobody struct{}

var (
	_ Feed     = nobody{}
	_ Webhooks = nobody{}
)

func (nobody) err() error { return fmt.Errorf("no events in this installation: %w", ErrUnavailable) }

func (n nobody) Unplaced(context.Context, int) ([]Notice, error) { return nil, n.err() }

// UnplacedOf implements Feed.
func (n nobody) UnplacedOf(context.Context, []NoticeRef) ([]Notice, error) { return nil, n.err() }
func (n nobody) Place(context.Context, []Notice) error                     { return n.err() }
func (n nobody) Feed(context.Context, FeedFilter, uint64, int) ([]FeedEvent, error) {
	return nil, n.err()
}
func (n nobody) FeedEnd(context.Context, broadcast.AppID) (uint64, error) { return 0, n.err() }
func (n nobody) Notice(context.Context, broadcast.EventID) (Notice, error) {
	return Notice{}, n.err()
}

func (n nobody) NoticeAt(context.Context, string, uint64) (Notice, error) { return Notice{}, n.err() }
func (n nobody) PurgeFeed(context.Context, time.Time, int) (int, error)   { return 0, n.err() }
func (n nobody) Endpoint(context.Context, string) (Endpoint, error)       { return Endpoint{}, n.err() }

func (n nobody) Endpoints(context.Context, broadcast.AppID, Page) (List[Endpoint], error) {
	return List[Endpoint]{}, n.err()
}
func (n nobody) Wake(context.Context, []Cursor) error                      { return n.err() }
func (n nobody) DueEndpoints(context.Context, time.Time) ([]string, error) { return nil, n.err() }
func (n nobody) DueCursors(context.Context, string, time.Time, int) ([]Cursor, error) {
	return nil, n.err()
}

func (n nobody) ClaimCursor(context.Context, Cursor, string, time.Time, time.Time) (Cursor, error) {
	return Cursor{}, n.err()
}
func (n nobody) SaveCursor(context.Context, Cursor, bool) error  { return n.err() }
func (n nobody) FinishCursor(context.Context, Cursor) error      { return n.err() }
func (n nobody) DropCursors(context.Context, string) error       { return n.err() }
func (n nobody) Recovered(context.Context, string) error         { return n.err() }
func (n nobody) AddDeadLetter(context.Context, DeadLetter) error { return n.err() }
func (n nobody) Failing(context.Context, string, time.Time) (time.Time, error) {
	return time.Time{}, n.err()
}

func (n nobody) WebhookDeadLetters(context.Context, string, Page) (List[DeadLetter], error) {
	return List[DeadLetter]{}, n.err()
}
