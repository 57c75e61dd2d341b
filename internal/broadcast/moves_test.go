package broadcast_test

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// move is one thing that can happen to a world: a step, or a write of the
// lease by a worker or the sweeper.
type move struct {
	name string
	do   func(*world) error
}

// moves lists everything that can happen to w: every event around the fence
// and the lease, every call about every room, every write of the lease.
func moves(w *world) []move {
	return append(append(leaseMoves(w), eventMoves(w)...), callMoves(w)...)
}

func leaseMoves(w *world) []move {
	list := []move{
		// Also the takeover of a holder whose media stand still.
		{"take", func(w *world) error { w.take("session"); return nil }},
	}
	if w.lease.Holder == nil {
		return list
	}
	return append(list,
		move{"release", func(w *world) error { w.lease.Holder = nil; return nil }},
		move{"a segment is acknowledged", func(w *world) error { w.lease.LastSegment = 7; return nil }},
		move{"sweeper gives the holder up", func(w *world) error {
			_, refusal, err := w.do(w.carried(), w.giveUp())
			return unexpected(refusal, err)
		}})
}

func unexpected(refusal *broadcast.Refusal, err error) error {
	if err == nil && refusal != nil {
		return fmt.Errorf("an event was refused: %w", refusal)
	}
	return err
}

func eventMoves(w *world) []move {
	var list []move
	fence := w.key.Fence
	seqs := slices.Compact([]uint64{fence.Seq, fence.Seq + 1, broadcast.LastSeq})
	for _, epoch := range around(fence.Epoch, w.lease.Epoch) {
		for _, seq := range seqs {
			for _, phase := range []broadcast.Phase{broadcast.Prep, broadcast.Published, broadcast.Stopped, broadcast.Refused, "PAUSED"} {
				for _, mode := range []broadcast.Mode{broadcast.ModeCMAF, broadcast.ModeRTMP, "WEBRTC"} {
					odd := phase == broadcast.Refused || phase == "PAUSED" || mode != broadcast.ModeCMAF && phase == broadcast.Prep
					if odd && seq != fence.Seq+1 || mode != broadcast.ModeCMAF && phase != broadcast.Prep {
						continue
					}
					e := broadcast.Event{
						ID: "evt", KeyID: w.key.ID, Session: "session", Epoch: epoch, Seq: seq, Phase: phase, Mode: mode,
						Error: &broadcast.KeyError{Code: string(phase)},
					}
					list = append(list, move{string(phase) + " " + string(mode) + " event " + strconv.FormatUint(epoch, 10) + "." + strconv.FormatUint(seq, 10), func(w *world) error {
						_, refusal, err := w.do(w.carried(), e)
						return unexpected(refusal, err)
					}})
				}
			}
		}
	}
	return list
}

// around is the epochs that matter: older than the fence, the fence's, the
// lease's and the next one, each once.
func around(fence, lease uint64) []uint64 {
	list := []uint64{fence}
	if fence > 0 {
		list = append(list, fence-1)
	}
	for e := max(fence+1, lease); e <= lease+1; e++ {
		list = append(list, e)
	}
	return list
}

func callMoves(w *world) []move {
	list := []move{
		call("disconnect", w.carried(), func(w *world) broadcast.Input { return broadcast.Revoke{Until: w.now} }),
		call("reissue", w.carried(), func(w *world) broadcast.Input {
			return broadcast.Reissue{PlayID: w.playID(), Hash: w.hash()}
		}),
		call("force terminate the key", w.carried(), forceEnd(false)),
	}
	seen := map[string]bool{}
	for n := range w.rooms {
		if k := w.kind(w.rooms[n]); seen[k] {
			continue
		} else {
			seen[k] = true
		}
		r := string(w.rooms[n].ID)
		list = append(list,
			call("go live "+r, n, func(*world) broadcast.Input { return broadcast.GoLive{} }),
			call("cancel "+r, n, func(*world) broadcast.Input { return broadcast.Cancel{} }),
			call("saved "+r, n, func(*world) broadcast.Input { return broadcast.Saved{} }),
			call("end "+r, n, func(w *world) broadcast.Input { return inputFor(w, broadcast.OnEnd) }),
			call("force end "+r, n, forceEnd(false)),
			call("force end, discard "+r, n, forceEnd(true)),
			call("max duration "+r, n, func(w *world) broadcast.Input { return inputFor(w, broadcast.OnTimeLimit) }),
			call("reconnect timeout "+r, n, func(w *world) broadcast.Input { return roomInput(w, "reconnect timeout") }),
		)
	}
	return list
}

func forceEnd(discard bool) func(*world) broadcast.Input {
	return func(w *world) broadcast.Input {
		return broadcast.ForceEnd{PlayID: w.playID(), PostID: w.postID(), Hash: w.hash(), Discard: discard}
	}
}

func call(name string, room int, in func(*world) broadcast.Input) move {
	return move{name, func(w *world) error {
		_, _, err := w.do(room, in(w))
		return err
	}}
}
