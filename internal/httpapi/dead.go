package httpapi

import (
	"context"
	"net/http"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// deadEvents are the dead letters of the queue of state events.
type deadEvents interface {
	ListDeadEvents(ctx context.Context, limit int) ([]control.DeadEvent, error)
	ReplayDeadEvent(ctx context.Context, id string) error
	DropDeadEvent(ctx context.Context, id string) error
}

// DeadStateEvent is a state event that could not be applied.
type DeadStateEvent struct {
	ID          string     `json:"id" example:"dead-17"`
	StreamKeyID string     `json:"streamKeyId" example:"key_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	Attempts    int        `json:"attempts" doc:"How often it was tried" example:"10"`
	EventID     *string    `json:"eventId" doc:"null = the message cannot be read" example:"evt_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	Phase       *string    `json:"phase" doc:"What its worker told" example:"PUBLISHED"`
	SessionID   *string    `json:"sessionId" example:"ses_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	SentAt      *timestamp `json:"sentAt" nullable:"true" doc:"By the clock of its worker"`
}

func deadStateEventOf(d control.DeadEvent) DeadStateEvent {
	v := DeadStateEvent{ID: d.ID, StreamKeyID: string(d.KeyID), Attempts: d.Attempts}
	if e := d.Event; e != nil {
		v.EventID, v.Phase, v.SessionID = orNull(string(e.ID)), orNull(string(e.Phase)), orNull(string(e.Session))
		v.SentAt = timestampOf(&e.At)
	}
	return v
}

type (
	deadQuery struct {
		Limit int `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"Most items to answer"`
	}
	DeadPath struct {
		ID string `path:"id" maxLength:"128" doc:"As listed" example:"dead-17"`
	}
	deadCall struct {
		DeadPath
		Body *empty
	}
)

func (a *api) registerDeadEvents() {
	register(a, adminEndpoint("listDeadLetters", http.MethodGet, "/dead-letters", "List state events that could not be applied",
		"A worker's event lies here after ten tries; the later ones of its stream key went on without it. Oldest first within a stream key. "+
			"There are no pages: replay or drop what is listed, and list again."),
		func(ctx context.Context, _ control.Caller, in *deadQuery) (*listed[DeadStateEvent], error) {
			dead, err := a.Service.ListDeadEvents(ctx, in.Limit)
			return listOf(control.List[control.DeadEvent]{Items: dead}, deadStateEventOf), err
		})
	replay := adminEndpoint("replayDeadLetter", http.MethodPost, "/dead-letters/{id}/replay", "Send a dead letter again",
		"Safe to repeat: an event that its stream key has passed changes nothing, and a dead letter that was sent is no longer there (404).",
		broadcast.CodeDeadEventNotFound)
	replay.secret, replay.status = false, http.StatusNoContent
	register(a, replay, func(ctx context.Context, _ control.Caller, in *deadCall) (*none, error) {
		return &none{}, a.Service.ReplayDeadEvent(ctx, in.ID)
	}, func(context.Context, control.Caller, *deadCall, control.OnceRecord) (*none, error) {
		return &none{}, nil
	})
	register(a, adminEndpoint("dropDeadLetter", http.MethodDelete, "/dead-letters/{id}", "Forget a dead letter",
		"What it told is healed by the next event of its stream key, or by the sweeper.", broadcast.CodeDeadEventNotFound),
		func(ctx context.Context, _ control.Caller, in *DeadPath) (*none, error) {
			return &none{}, a.Service.DropDeadEvent(ctx, in.ID)
		})
}
