package broadcast

import "fmt"

// Code is an errorCode that callers may rely on (docs/contract.md).
type Code string

// The codes of refusals by state.
const (
	CodeRoomNotScheduled    Code = "VIDEO_ROOM_STATE_NOT_SCHEDULED"
	CodeRoomNotLiveInactive Code = "VIDEO_ROOM_STATE_NOT_LIVE_INACTIVE"
	CodeRoomNotLive         Code = "VIDEO_ROOM_STATE_NOT_LIVE"
	CodeRoomIsLive          Code = "VIDEO_ROOM_IS_LIVE"
	CodeKeyNotActive        Code = "STREAM_KEY_STATE_NOT_ACTIVE"
	CodeKeyBusy             Code = "STREAM_KEY_BUSY"
	CodeKeyNotInactive      Code = "STREAM_KEY_STATE_NOT_INACTIVE"
	CodeKeyNotInactiveLive  Code = "STREAM_KEY_STATE_NOT_INACTIVE_LIVE"
	CodeMemberIsLive        Code = "MEMBER_IS_LIVE"
	// CodeEventForbidden: the tables forbid an event that is newer than the
	// fence. Never shown to callers: journalled, counted, acknowledged.
	CodeEventForbidden Code = "EVENT_FORBIDDEN"
)

// Refusal says that the rules forbid an input. Nothing may be written but a
// journal entry.
type Refusal struct {
	Code Code
	// State is the machine's state that forbids it; Allowed lists what the
	// caller could do instead, in API words; it may be empty.
	State   string
	Allowed []string
	Message string
}

// Error is one sentence for people.
func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s", r.Code, r.Message) }
