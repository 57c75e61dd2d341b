package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// rooms ends the live rooms whose time is over.
func (w *Sweeper) rooms(ctx context.Context) error {
	var problems []error
	apps := map[broadcast.AppID]App{}
	page := Page{Limit: sweepPage, Ascending: true}
	for {
		list, err := w.s.Store.LiveRooms(ctx, page)
		if err != nil {
			return fmt.Errorf("list live rooms: %w", err)
		}
		for _, r := range list.Items {
			w.busy = true
			if _, ok := apps[r.AppID]; !ok {
				if apps[r.AppID], err = w.s.Store.App(ctx, r.AppID); err != nil {
					problems = append(problems, fmt.Errorf("app %s of room %s: %w", r.AppID, r.ID, err))
					continue
				}
			}
			if err := w.room(ctx, apps[r.AppID], r); err != nil {
				problems = append(problems, err)
			}
		}
		if page.Cursor = list.Next; page.Cursor == "" {
			return errors.Join(problems...)
		}
	}
}

func (w *Sweeper) room(ctx context.Context, app App, r broadcast.VideoRoom) error {
	reason := overdue(app, r, w.s.Now())
	if reason == "" {
		return nil
	}
	_, err := w.s.run(ctx, step{
		actor: Actor{Kind: "sweeper"},
		in:    broadcast.TimeLimit{Reason: reason, PlayID: w.s.newPlayID(), PostID: w.s.newPostID()},
		load: func(ctx context.Context) (broadcast.State, error) {
			return w.s.roomState(ctx, Caller{AppID: r.AppID}, r.ID)
		},
	})
	var refused *broadcast.Refusal
	if errors.As(err, &refused) {
		return nil // it ended, or the stream is coming back
	}
	return err
}

// overdue says which limit of its app a live room has passed; "" = none.
func overdue(app App, r broadcast.VideoRoom, now time.Time) broadcast.EndReason {
	if app.MaxLive != nil && r.LiveStartedAt != nil && now.Sub(*r.LiveStartedAt) >= *app.MaxLive {
		return broadcast.EndReasonMaxDuration
	}
	if app.ReconnectWindow != nil && r.DroppedAt != nil && now.Sub(*r.DroppedAt) >= *app.ReconnectWindow {
		return broadcast.EndReasonReconnectTimeout
	}
	return ""
}
