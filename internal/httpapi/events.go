package httpapi

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// Event is one event, in the feed and in the body of a webhook alike.
type Event struct {
	ID         string    `json:"id" doc:"Also the webhook-id: an event that comes twice is one" example:"evt_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	Type       string    `json:"type" example:"video_room.live"`
	Timestamp  timestamp `json:"timestamp" doc:"When it happened"`
	ResourceID string    `json:"resourceId" doc:"The room, stream key, video post or webhook endpoint that it is about" example:"room_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	Sequence   uint64    `json:"sequence" doc:"Counts the events of the resource from 1, without gaps" example:"2"`
	MemberID   *string   `json:"memberId" example:"mem_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	Data       EventData `json:"data"`
}

// EventData is the resource as it was right after the event: one of the three,
// or none where the event is about a webhook endpoint.
type EventData struct {
	VideoRoom *VideoRoom `json:"videoRoom,omitempty" doc:"In events of a video room"`
	StreamKey *StreamKey `json:"streamKey,omitempty" doc:"In events of a stream key. Without its string, playback and ingest: read the key for those"`
	VideoPost *VideoPost `json:"videoPost,omitempty" doc:"In events of a video post"`
	Warnings  []string   `json:"warnings,omitempty" nullable:"false" doc:"In ingest.warning, with the stream key: what the encoder had better change. Each kind comes once in an ingest session"`
}

// TransformSchema gives an example with one of the three.
func (EventData) TransformSchema(r huma.Registry, s *huma.Schema) *huma.Schema {
	s.Examples = []any{map[string]any{"videoRoom": exampleOf(r, s.Properties["videoRoom"])}}
	return s
}

// shower joins to a resource what its readers see.
type shower interface {
	ShowRoom(r broadcast.VideoRoom) control.RoomView
	ShowPost(p broadcast.VideoPost) control.PostView
}

func eventOf(s shower) func(control.Notice) Event {
	return func(n control.Notice) Event {
		e := Event{
			ID: string(n.ID), Type: n.Type, Timestamp: timestamp{n.At}, ResourceID: n.Aggregate, Sequence: n.Sequence, MemberID: orNull(n.MemberID),
		}
		e.Data.Warnings = n.Warnings
		if n.Room != nil {
			room := videoRoomOf(s.ShowRoom(*n.Room))
			e.Data.VideoRoom = &room
		}
		if n.Key != nil {
			key := streamKeyOf(control.KeyView{Key: *n.Key})
			e.Data.StreamKey = &key
		}
		if n.Post != nil {
			post := videoPostOf(s.ShowPost(*n.Post))
			e.Data.VideoPost = &post
		}
		return e
	}
}

// EventBody writes events as JSON, for webhooks: the same as in the feed.
func EventBody(s shower) func(control.Notice) ([]byte, error) {
	show := eventOf(s)
	return func(n control.Notice) ([]byte, error) { return json.Marshal(show(n)) }
}

type eventList struct {
	Items            []Event `json:"items" nullable:"false"`
	NextAfter        string  `json:"nextAfter" doc:"after of the next call, also where there are no items" example:"42"`
	PollAfterSeconds int     `json:"pollAfterSeconds" doc:"When to ask again; 0 = at once, with wait" example:"0"`
}

type EventsQuery struct {
	After string `query:"after" maxLength:"64" doc:"nextAfter of the answer before; left out = the oldest event of the last 30 days; latest = what comes from now on" example:"42"`
	Wait  int    `query:"wait" minimum:"0" maximum:"20" default:"0" doc:"Seconds to wait for an event where there is none; the installation may cap it"`
	Limit int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"Most items to answer"`
}

type eventService interface {
	shower
	Events(ctx context.Context, c control.Caller, q control.EventsQuery) (control.EventList, error)
	RedeliverEvent(ctx context.Context, c control.Caller, id broadcast.EventID, endpoint string) (int, error)
}

type redelivered struct {
	Deliveries int        `json:"deliveries" doc:"How many are on their way" example:"1"`
	NextFrom   *timestamp `json:"nextFrom" nullable:"true" doc:"Where to go on where there were more than 1,000; null = all"`
}

type eventCall struct {
	ID   broadcast.EventID `path:"id" doc:"The event's id" example:"evt_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	Body *struct {
		EndpointID opt[string] `json:"endpointId" required:"false" maxLength:"64" doc:"Only to this endpoint; null = to all that want it"`
	}
}

func (a *api) registerEvents() {
	for _, s := range []side{serverAPI, clientAPI} {
		about := "Every event of the app"
		if s == clientAPI {
			about = "The events of the member's own stream key, rooms and posts"
		}
		e := endpoint{
			side: s, id: "listEvents", method: http.MethodGet, path: "/events", tag: "Events", summary: "Read the feed of events",
			description: about + " of the last 30 days, in one order that never changes; within a resource it is that of sequence. Ask with nextAfter as after for what comes then.",
			codes:       []broadcast.Code{broadcast.CodeInvalidCursor},
		}
		if s == clientAPI {
			e.id, e.tag = "ownListEvents", "Client API"
		}
		register(a, e, a.listEvents)
	}
	again := func(ctx context.Context, c control.Caller, in *eventCall) (*struct{ Body redelivered }, error) {
		only := ""
		if in.Body != nil {
			only = in.Body.EndpointID.or("")
		}
		n, err := a.Service.RedeliverEvent(ctx, c, in.ID, only)
		return &struct{ Body redelivered }{redelivered{Deliveries: n}}, err
	}
	register(a, endpoint{
		side: serverAPI, id: "redeliverEvent", method: http.MethodPost, path: "/events/{id}/redeliver", tag: "Events", body: true,
		summary: "Deliver an event again", description: "Outside of the order of its resource.",
		codes: []broadcast.Code{broadcast.CodeEventNotFound, broadcast.CodeEndpointNotFound},
	}, again, func(ctx context.Context, c control.Caller, in *eventCall, _ control.OnceRecord) (*struct{ Body redelivered }, error) {
		return again(ctx, c, in)
	})
}

func (a *api) listEvents(ctx context.Context, c control.Caller, in *EventsQuery) (*struct{ Body eventList }, error) {
	l, err := a.Service.Events(ctx, c, control.EventsQuery{After: in.After, Limit: in.Limit, Wait: time.Duration(in.Wait) * time.Second})
	if err != nil {
		return nil, err
	}
	out := eventList{Items: []Event{}, NextAfter: l.Next, PollAfterSeconds: int(math.Ceil(l.PollAfter.Seconds()))}
	show := eventOf(a.Service)
	for _, n := range l.Items {
		out.Items = append(out.Items, show(n))
	}
	return &struct{ Body eventList }{out}, nil
}
