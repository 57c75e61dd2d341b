package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

type RoomPath struct {
	ID broadcast.RoomID `path:"id" doc:"The video room's id" example:"room_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
}

// RoomState narrows a list of rooms.
type RoomState struct {
	State broadcast.RoomState `query:"videoRoomState" enum:"SCHEDULED,LIVE,LIVE_INACTIVE,ENDED,ARCHIVED,CANCELLED" doc:"Only rooms in this state"`
}

// RoomFields are what both APIs may say of a new room.
type RoomFields struct {
	Type        broadcast.RoomType `json:"type" enum:"BROADCAST_RTMP,VIDEO_CONFERENCE" doc:"VIDEO_CONFERENCE does not exist yet: 422"`
	ScheduledAt time.Time          `json:"scheduledAt" pattern:"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$" patternDescription:"RFC 3339 with a zone, from the year 1000 on" doc:"RFC 3339 with a zone; shown only, starts nothing" example:"2026-03-01T21:00:00+09:00"`
	Title       opt[string]        `json:"title" required:"false" maxLength:"200" example:"Sunday talk"`
	Description opt[string]        `json:"description" required:"false" maxLength:"500"`
	AccessLevel opt[string]        `json:"accessLevel" required:"false" enum:"PUBLIC" doc:"null = PUBLIC"`
	CustomType  opt[string]        `json:"customType" required:"false" maxLength:"50"`
	CustomData  opt[entryMap]      `json:"customData" required:"false" maxProperties:"10" doc:"At most 10 entries, keys and values of at most 50 characters" example:"{\"season\":\"2\"}"`
}

type ownRoomCreate struct{ RoomFields }

type roomCreate struct {
	AppUserID string `json:"appUserId" pattern:"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$" doc:"The owner" example:"user-42"`
	RoomFields
}

func (f RoomFields) of(appUserID string) control.RoomInput {
	return control.RoomInput{
		Type: f.Type, AppUserID: appUserID, ScheduledAt: f.ScheduledAt, Title: f.Title.or(""),
		Description: f.Description.or(""), AccessLevel: f.AccessLevel.or(""), CustomType: f.CustomType.or(""),
		CustomData: f.CustomData.or(nil),
	}
}

type roomPatch struct {
	Title       opt[string]     `json:"title" required:"false" maxLength:"200" example:"Sunday talk"`
	Description opt[string]     `json:"description" required:"false" maxLength:"500"`
	ScheduledAt opt[time.Time]  `json:"scheduledAt" required:"false" nullable:"false" pattern:"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$" patternDescription:"RFC 3339 with a zone, from the year 1000 on" doc:"Cannot be cleared" example:"2026-03-01T21:00:00+09:00"`
	AccessLevel opt[string]     `json:"accessLevel" required:"false" enum:"PUBLIC" doc:"null = PUBLIC"`
	CustomType  opt[string]     `json:"customType" required:"false" maxLength:"50"`
	CustomData  opt[customData] `json:"customData" required:"false" doc:"Merged entry by entry; a null entry is removed"`
}

func (p roomPatch) of(ifMatch string) control.RoomPatch {
	return control.RoomPatch{
		Title: p.Title.Field, Description: p.Description.Field, ScheduledAt: p.ScheduledAt.Field,
		AccessLevel: p.AccessLevel.Field, CustomType: p.CustomType.Field, CustomData: dataPatch(p.CustomData), IfVersion: ifVersion(ifMatch),
	}
}

// ending is the body of end, which may be left out.
type ending struct {
	Force opt[bool] `json:"force" required:"false" doc:"Also while the publisher is connected; the stream key then gets a new string" example:"true"`
}

type (
	roomCall struct {
		RoomPath
		Body *empty
	}
	roomEnd struct {
		RoomPath
		Body *ending
	}
)

// entry is one line of a room's journal.
type entry struct {
	ID      string    `json:"id" example:"jrn_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	Version uint64    `json:"version" doc:"Version of the room that the entry made or saw: the journal's order" example:"3"`
	At      timestamp `json:"at"`
	Kind    string    `json:"kind" enum:"transition,refusal,event"`
	Machine *string   `json:"machine" enum:"stream_key,video_room"`
	From    *string   `json:"from" example:"SCHEDULED"`
	On      *string   `json:"on" example:"go live"`
	To      *string   `json:"to" example:"LIVE"`
	Actor   actor     `json:"actor"`
	EventID *string   `json:"eventId"`
	Reason  *string   `json:"reason" doc:"A refusal's code or a stop's reason"`
}

type actor struct {
	Kind      string  `json:"kind" doc:"api_key, member, operator, worker or sweeper" example:"api_key"`
	ID        *string `json:"id"`
	RequestID *string `json:"requestId"`
}

func entryOf(e control.JournalEntry) entry {
	return entry{
		ID: e.ID, Version: e.Version, At: timestamp{e.At}, Kind: string(e.Kind), Machine: orNull(e.Machine),
		From: orNull(e.From), On: orNull(e.On), To: orNull(e.To), EventID: orNull(e.EventID), Reason: orNull(e.Reason),
		Actor: actor{Kind: e.Actor.Kind, ID: orNull(e.Actor.ID), RequestID: orNull(e.Actor.RequestID)},
	}
}

func oneRoom(v control.RoomView, err error) (*one[VideoRoom], error) {
	return &one[VideoRoom]{etag(v.Room.Version), videoRoomOf(v)}, err
}

func roomEndpoint(s side, id, method, path, summary, description string, codes ...broadcast.Code) endpoint {
	e := endpoint{
		side: s, id: id, method: method, path: "/video-rooms" + path, tag: "Video rooms",
		summary: summary, description: description, codes: codes,
		body: method == http.MethodPost || method == http.MethodPatch,
	}
	if s == clientAPI {
		e.id, e.tag = "own"+upperFirst(id), "Client API"
	}
	if path != "" {
		e.codes = append(e.codes, broadcast.CodeRoomNotFound)
	}
	return e
}

func upperFirst(s string) string { return string(s[0]-'a'+'A') + s[1:] }

func (a *api) registerVideoRooms() {
	created := func(s side) endpoint {
		e := roomEndpoint(s, "createVideoRoom", http.MethodPost, "", "Create a video room", "It is SCHEDULED until somebody starts or cancels it.",
			broadcast.CodeRoomTypeUnavailable, broadcast.CodeMemberNotFound, broadcast.CodeInvalidAppUserID, broadcast.CodeCustomDataTooLarge)
		e.status = http.StatusCreated
		return e
	}
	register(a, created(serverAPI), func(ctx context.Context, c control.Caller, in *struct{ Body roomCreate }) (*one[VideoRoom], error) {
		return a.createRoom(ctx, c, in.Body.of(in.Body.AppUserID))
	}, madeRoom[struct{ Body roomCreate }](a))
	register(a, created(clientAPI), func(ctx context.Context, c control.Caller, in *struct{ Body ownRoomCreate }) (*one[VideoRoom], error) {
		return a.createRoom(ctx, c, in.Body.of(""))
	}, madeRoom[struct{ Body ownRoomCreate }](a))
	register(a, roomEndpoint(serverAPI, "listVideoRooms", http.MethodGet, "", "List video rooms", "Newest first.",
		broadcast.CodeInvalidCursor, broadcast.CodeMemberNotFound),
		func(ctx context.Context, c control.Caller, in *struct {
			Page
			RoomState
			AppUserID string `query:"appUserId" maxLength:"128" doc:"Only rooms of this member"`
		},
		) (*listed[VideoRoom], error) {
			l, err := a.Service.Rooms(ctx, c, in.State, in.AppUserID, in.of())
			return listOf(l, videoRoomOf), err
		})
	register(a, roomEndpoint(clientAPI, "listVideoRooms", http.MethodGet, "", "List the member's video rooms", "Newest first.",
		broadcast.CodeInvalidCursor),
		func(ctx context.Context, c control.Caller, in *struct {
			Page
			RoomState
		},
		) (*listed[VideoRoom], error) {
			l, err := a.Service.Rooms(ctx, c, in.State, "", in.of())
			return listOf(l, videoRoomOf), err
		})
	register(a, roomEndpoint(serverAPI, "getVideoRoomJournal", http.MethodGet, "/{id}/journal", "Why the room is in its state",
		"Every transition, refusal and event, oldest first.", broadcast.CodeInvalidCursor), a.journal)
	for _, s := range []side{serverAPI, clientAPI} {
		a.registerRoom(s)
		a.registerShow(s)
	}
}

// madeRoom answers the room that a repeated call made.
func madeRoom[I any](a *api) replay[I, one[VideoRoom]] {
	return func(ctx context.Context, c control.Caller, _ *I, r control.OnceRecord) (*one[VideoRoom], error) {
		return oneRoom(a.Service.Room(ctx, c, broadcast.RoomID(r.Resource)))
	}
}

// room says which room a request is about.
func (p RoomPath) room() broadcast.RoomID { return p.ID }

// movedRoom answers the room that a repeated call moved.
func movedRoom[I interface{ room() broadcast.RoomID }](a *api) replay[I, one[VideoRoom]] {
	return func(ctx context.Context, c control.Caller, in *I, _ control.OnceRecord) (*one[VideoRoom], error) {
		return oneRoom(a.Service.Room(ctx, c, (*in).room()))
	}
}

func (a *api) createRoom(ctx context.Context, c control.Caller, in control.RoomInput) (*one[VideoRoom], error) {
	if err := showable("scheduledAt", in.ScheduledAt); err != nil {
		return nil, err
	}
	return oneRoom(a.Service.CreateRoom(ctx, c, in))
}

type journalQuery struct {
	RoomPath
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"Most items to answer"`
	Cursor string `query:"cursor" maxLength:"512" doc:"nextCursor of the page before"`
	Order  string `query:"order" enum:"asc,desc" default:"asc" doc:"desc = newest first"`
}

func (q journalQuery) of() control.Page {
	return Page{Limit: q.Limit, Cursor: q.Cursor, Order: q.Order}.of()
}

func (a *api) journal(ctx context.Context, c control.Caller, in *journalQuery) (*listed[entry], error) {
	l, err := a.Service.Journal(ctx, c, in.ID, in.of())
	return listOf(l, entryOf), err
}

// registerRoom serves what both APIs do with one room's record.
func (a *api) registerRoom(s side) {
	register(a, roomEndpoint(s, "getVideoRoom", http.MethodGet, "/{id}", "Get a video room", "With where to watch it while it is live."),
		func(ctx context.Context, c control.Caller, in *RoomPath) (*one[VideoRoom], error) {
			return oneRoom(a.Service.Room(ctx, c, in.ID))
		})
	register(a, roomEndpoint(s, "updateVideoRoom", http.MethodPatch, "/{id}", "Change what a video room shows",
		"JSON Merge Patch: a field that is left out stays, null clears it. Possible in every state.",
		broadcast.CodeVersionMismatch, broadcast.CodeCustomDataTooLarge), a.updateRoom)
	register(a, roomEndpoint(s, "deleteVideoRoom", http.MethodDelete, "/{id}", "Delete a video room", "Not while it is live.",
		broadcast.CodeRoomIsLive),
		func(ctx context.Context, c control.Caller, in *RoomPath) (*none, error) {
			return &none{}, a.Service.DeleteRoom(ctx, c, in.ID)
		})
}

func (a *api) updateRoom(ctx context.Context, c control.Caller, in *struct {
	RoomPath
	Guarded
	Body roomPatch
},
) (*one[VideoRoom], error) {
	patch := in.Body.of(in.IfMatch)
	if err := showable("scheduledAt", in.Body.ScheduledAt.or(time.Time{})); err != nil {
		return nil, err
	}
	return oneRoom(a.Service.UpdateRoom(ctx, c, in.ID, patch))
}

// registerShow serves the calls that move a room.
func (a *api) registerShow(s side) {
	register(a, roomEndpoint(s, "startVideoRoom", http.MethodPost, "/{id}/start", "Go live",
		"The owner's stream key must be ACTIVE and carry no other room. The answer's playback says where to watch.",
		broadcast.CodeRoomNotScheduled, broadcast.CodeKeyNotActive, broadcast.CodeKeyBusy, broadcast.CodeRoomNotBroadcast),
		func(ctx context.Context, c control.Caller, in *roomCall) (*one[VideoRoom], error) {
			return oneRoom(a.Service.StartRoom(ctx, c, in.ID))
		}, movedRoom[roomCall](a))
	register(a, roomEndpoint(s, "cancelVideoRoom", http.MethodPost, "/{id}/cancel", "Call a scheduled room off", "It can no longer be started. A room that went live is ended instead.",
		broadcast.CodeRoomNotScheduled),
		func(ctx context.Context, c control.Caller, in *roomCall) (*one[VideoRoom], error) {
			return oneRoom(a.Service.CancelRoom(ctx, c, in.ID))
		}, movedRoom[roomCall](a))
	register(a, roomEndpoint(s, "endVideoRoom", http.MethodPost, "/{id}/end", "End the show",
		"Without force only where the publisher is gone. With force at any time: the publisher is cut and the stream key gets a new string; a room that has ended is answered unchanged.",
		broadcast.CodeRoomNotLiveInactive, broadcast.CodeKeyNotInactiveLive, broadcast.CodeRoomNotLive, broadcast.CodeRoomNotBroadcast),
		func(ctx context.Context, c control.Caller, in *roomEnd) (*one[VideoRoom], error) {
			return oneRoom(a.Service.EndRoom(ctx, c, in.ID, in.Body != nil && in.Body.Force.or(false)))
		}, movedRoom[roomEnd](a))
}
