package sim

import (
	"context"
	"errors"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// call makes API calls of every kind, at any moment, until the faults stop.
func (w *world) call(p *proc) {
	for w.chaos {
		p.sleep(w.between(0, 2*w.dice.calls))
		if !w.chaos {
			return
		}
		m := w.members[w.rng.IntN(len(w.members))]
		n := 1 + w.rng.IntN(3) // sometimes several at once
		for i := 0; i < n; i++ {
			name, do := w.pick(m)
			if name == "delete "+m.userID {
				n = 6
			}
			w.spawn(nil, func(*proc) {
				err := do(context.Background())
				w.tell("API: %s: %v", name, answer(err))
				w.innocent(name, err)
			})
		}
	}
}

func answer(err error) string {
	var r *broadcast.Refusal
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &r):
		return string(r.Code)
	}
	return err.Error()
}

type apiCall = func(ctx context.Context) error

func (w *world) pick(m *member) (string, apiCall) {
	key := w.store.keys[m.key]
	room := w.someRoom(m, broadcast.RoomScheduled)
	live := key.RoomID
	n := w.rng.IntN(100)
	switch {
	case n < 40 && room == "" || n < 5:
		return "create", func(ctx context.Context) error {
			_, err := w.service.CreateRoom(ctx, m.app, control.RoomInput{
				Type: broadcast.BroadcastRTMP, AppUserID: m.userID, ScheduledAt: w.wall(), Title: "show",
			})
			return err
		}
	case n < 40:
		return "go live " + string(room), func(ctx context.Context) error {
			v, err := w.service.StartRoom(ctx, m.app, room)
			if err == nil && (v.Room.State != broadcast.RoomLive || v.Playback == nil) {
				w.fail("go live answers %s, playback %v", v.Room.State, v.Playback)
			}
			return err
		}
	case n < 62 && live != "":
		force := n > 50
		return "end " + string(live), func(ctx context.Context) error {
			v, err := w.service.EndRoom(ctx, m.app, live, force)
			if err == nil && (v.Room.State.Carried() || v.Playback != nil || v.Room.EndReason == "") {
				w.fail("end answers %s, playback %v, reason %q", v.Room.State, v.Playback, v.Room.EndReason)
			}
			return err
		}
	case n < 70:
		return "disconnect " + string(m.key), func(ctx context.Context) error {
			_, err := w.service.DisconnectKey(ctx, m.app, m.key)
			return err
		}
	case n < 76:
		return "reissue " + string(m.key), func(ctx context.Context) error {
			_, err := w.service.ReissueKey(ctx, m.app, m.key)
			return err
		}
	case n < 82:
		return "force terminate " + string(m.key), func(ctx context.Context) error {
			_, err := w.service.ForceTerminateKey(ctx, m.app, m.key, n%2 == 0)
			return err
		}
	}
	return w.pickRare(m, n)
}

func (w *world) pickRare(m *member, n int) (string, apiCall) {
	any := w.someRoom(m, "")
	switch {
	case n < 86:
		return "cancel " + string(any), func(ctx context.Context) error {
			_, err := w.service.CancelRoom(ctx, m.app, any)
			return err
		}
	case n < 90:
		return "delete " + string(any), func(ctx context.Context) error { return w.service.DeleteRoom(ctx, m.app, any) }
	case n < 93:
		title := "another title"
		return "update " + string(any), func(ctx context.Context) error {
			_, err := w.service.UpdateRoom(ctx, m.app, any, control.RoomPatch{Title: control.Field[string]{Set: true, Value: &title}})
			return err
		}
	case n < 96:
		mode := broadcast.ModeCMAF
		return "set " + string(m.key), func(ctx context.Context) error {
			_, err := w.service.UpdateKey(ctx, m.app, m.key, control.KeyPatch{OutputMode: control.Field[broadcast.Mode]{Set: true, Value: &mode}})
			return err
		}
	case w.dice.delete:
		force := w.chance(0.5)
		return "delete " + m.userID, func(ctx context.Context) error {
			return w.service.DeleteMember(ctx, m.app, m.userID, force)
		}
	}
	return "put " + m.userID, func(ctx context.Context) error {
		made, created, err := w.service.PutMember(ctx, m.app, control.MemberInput{AppUserID: m.userID})
		if err == nil {
			m.key = made.KeyID
		}
		if created {
			w.tell("%s begins anew with %s", m.userID, made.KeyID)
		}
		return err
	}
}

// someRoom is one of m's rooms in a state; "" = any state, or none.
func (w *world) someRoom(m *member, state broadcast.RoomState) broadcast.RoomID {
	list, err := w.store.Rooms(context.Background(), control.RoomFilter{AppID: m.app.AppID, State: state}, control.Page{Limit: 100})
	if err != nil {
		w.fail("list rooms: %v", err)
	}
	var ids []broadcast.RoomID
	for _, r := range list.Items {
		if r.KeyID == m.key {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) == 0 {
		return ""
	}
	return ids[w.rng.IntN(len(ids))]
}

// cutWithin is from the API's answer to the cut connection (issue: 3 s).
const cutWithin = 3 * time.Second

// epilogue is what a calm world owes: a publisher goes live at once, and an
// end cuts it within 3 s, on any worker.
func (w *world) epilogue() {
	w.tell("---- what a calm world owes ----")
	cuts := map[*session]bool{}
	for i, m := range w.members {
		s := w.check.holder(m.key)
		key := w.store.keys[m.key]
		if s == nil || s.over || !s.published || w.now-s.viewable < toldWithin {
			continue
		}
		cuts[s] = true
		w.spawn(nil, func(*proc) {
			ctx := context.Background()
			live := key.RoomID
			if live == "" {
				v, err := w.service.CreateRoom(ctx, m.app, control.RoomInput{
					Type: broadcast.BroadcastRTMP, AppUserID: m.userID, ScheduledAt: w.wall(), Title: "last",
				})
				live = v.Room.ID
				if err == nil {
					_, err = w.service.StartRoom(ctx, m.app, live)
				}
				if err != nil {
					w.fail("%s cannot go live in a calm world: %v", m.userID, err)
				}
			}
			var err error
			if i%2 == 0 {
				_, err = w.service.EndRoom(ctx, m.app, live, true)
			} else {
				_, err = w.service.DisconnectKey(ctx, m.app, m.key)
			}
			if err != nil {
				w.fail("%s cannot be cut in a calm world: %v", m.userID, err)
			}
		})
	}
	w.run(w.now+cutWithin, w.ok)
	for s := range cuts {
		if w.ok() && !s.over {
			w.fail("%s still publishes %s after the end of its lease", s.id, cutWithin)
		}
	}
}
