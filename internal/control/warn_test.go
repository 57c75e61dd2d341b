package control_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// A kind of warning is told once in a session, however its numbers rise and
// whoever sweeps, and again in the next session.
func TestAnIngestWarningIsToldOnceInASession(t *testing.T) {
	w := newWorld(t)
	k := &kept{Store: w.Store}
	w.Store = k
	sweepers := []*control.Sweeper{w.NewSweeper(&sent{}), w.NewSweeper(&sent{})}
	renewals := uint64(0)
	say := func(warnings ...string) {
		t.Helper()
		renewals++
		w.no(w.db.RenewLease(t.Context(), w.key, w.epoch, w.session, broadcast.Progress{
			Mode: broadcast.ModeCMAF, Renewals: renewals, Phase: broadcast.Published, Seq: w.seq, Health: &broadcast.Health{Warnings: warnings},
		}))
		for _, s := range sweepers {
			w.no(s.Pass(t.Context()))
			w.no(s.Pass(t.Context()))
		}
	}
	told := func(want ...string) {
		t.Helper()
		var got []string
		last := uint64(0)
		for _, n := range k.notices {
			if n.Aggregate != string(w.key) {
				continue
			}
			if n.Sequence != last+1 {
				t.Errorf("sequence %d follows %d", n.Sequence, last)
			}
			if last = n.Sequence; n.Type == control.TypeIngestWarning {
				got = append(got, fmt.Sprint(n.Warnings))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	w.take("wrk_1")
	w.no(w.ApplyEvent(t.Context(), w.event(broadcast.Published)))
	say()
	told()
	say("1 broken access unit was dropped")
	say("12 broken access unit was dropped")
	told("[1 broken access unit was dropped]")
	say("13 broken access unit was dropped", "key frames are 9 s apart")
	say("key frames are 11 s apart")
	w.no(w.ApplyEvent(t.Context(), w.event(broadcast.Stopped)))
	told("[1 broken access unit was dropped]", "[13 broken access unit was dropped key frames are 9 s apart]")

	w.no(w.db.ReleaseLease(t.Context(), w.key, w.epoch, w.session, broadcast.Progress{Mode: broadcast.ModeCMAF, Phase: broadcast.Stopped, Seq: w.seq}))
	w.take("wrk_1")
	w.no(w.ApplyEvent(t.Context(), w.event(broadcast.Published)))
	say("key frames are 9 s apart")
	told("[1 broken access unit was dropped]", "[13 broken access unit was dropped key frames are 9 s apart]", "[key frames are 9 s apart]")
}
