package control_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// A publisher took a silent one's lease over and was not let in after all, for
// example by a full disk; the silent one's STOPPED was lost.
func TestALeaseGivenBackWithoutAWordEndsTheSessionBeforeIt(t *testing.T) {
	w := newWorld(t)
	w.take("wrk_1")
	w.no(w.ApplyEvent(t.Context(), w.event(broadcast.Published)))
	held, err := w.db.Lease(t.Context(), w.key)
	w.no(err)
	over, err := w.db.TakeLease(t.Context(), w.key,
		control.LeaseCondition{Generation: held.KeyGeneration, Epoch: held.Epoch, Media: &held.Media},
		broadcast.Holder{Session: "ses_over", Worker: "wrk_2"}, broadcast.Progress{Mode: broadcast.ModeCMAF})
	w.no(err)
	w.no(w.db.ReleaseLease(t.Context(), w.key, over.Epoch, "ses_over", broadcast.Progress{Mode: broadcast.ModeCMAF}))

	out := &sent{}
	sweeper := w.NewSweeper(out)
	for range 4 {
		w.no(sweeper.Pass(t.Context()))
		w.clock.pass(5 * time.Second)
	}
	if len(out.messages) != 1 {
		t.Fatalf("%d messages, want the end of the session before", len(out.messages))
	}
	e, err := control.DecodeEvent(out.messages[0].Body)
	w.no(err)
	w.no(w.ApplyEvent(t.Context(), e))
	w.state(broadcast.KeyInactive)
	if list, err := w.db.HeldLeases(t.Context(), "", 10); err != nil || len(list) != 0 {
		t.Fatalf("the sweeper still looks at %v (%v)", list, err)
	}
}

// One step may take several transitions: each notice shows its own.
func TestANoticeShowsTheResourceAsItWasAfterItsTransition(t *testing.T) {
	w := newWorld(t)
	id := w.live()
	w.no(w.db.ReleaseLease(t.Context(), w.key, w.epoch, w.session, broadcast.Progress{}))
	w.take("wrk_2") // the first one's STOPPED is lost
	seen := noticesOf(w, func() { w.no(w.ApplyEvent(t.Context(), w.event(broadcast.Published))) })
	want := []string{
		"stream_key.state_changed 4 INACTIVE_LIVE", "video_room.live_inactive 3 LIVE_INACTIVE",
		"stream_key.state_changed 5 ACTIVE_LIVE_PREP", "stream_key.state_changed 6 ACTIVE_LIVE", "video_room.live 4 LIVE",
	}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Fatalf("notices of %s:\n%q\nwant\n%q", id, seen, want)
	}
}

// noticesOf answers type, sequence and shown state of what do commits.
func noticesOf(w *world, do func()) []string {
	w.Helper()
	k := &kept{Store: w.Store}
	w.Store = k
	do()
	var list []string
	for _, n := range k.notices {
		state, dropped := "", false
		if n.Room != nil {
			state, dropped = string(n.Room.State), n.Room.DroppedAt != nil
			if dropped != (n.Room.State == broadcast.RoomLiveInactive) || n.Room.Sequence != n.Sequence {
				w.Errorf("notice %s shows droppedAt %v, sequence %d", n.Type, n.Room.DroppedAt, n.Room.Sequence)
			}
		} else {
			state = string(n.Key.State)
		}
		list = append(list, fmt.Sprintf("%s %d %s", n.Type, n.Sequence, state))
	}
	return list
}

// kept is a store that shows the notices that it was handed.
type kept struct {
	control.Store
	notices []control.Notice
}

func (k *kept) Commit(ctx context.Context, c control.Changes) error {
	k.notices = append(k.notices, c.Notices...)
	return k.Store.Commit(ctx, c)
}
