package broadcast

import "fmt"

// Code is an errorCode that callers may rely on (docs/contract.md).
type Code string

// The codes; internal/httpapi/errors.go maps each to its status, once.
const (
	CodeRoomNotScheduled    Code = "VIDEO_ROOM_STATE_NOT_SCHEDULED"
	CodeRoomNotLiveInactive Code = "VIDEO_ROOM_STATE_NOT_LIVE_INACTIVE"
	CodeRoomNotLive         Code = "VIDEO_ROOM_STATE_NOT_LIVE"
	CodePostNotFailed       Code = "VIDEO_POST_STATE_NOT_FAILED"
	CodePostState           Code = "VIDEO_POST_STATE_FORBIDS" // never shown: a job that came late
	CodeRoomIsLive          Code = "VIDEO_ROOM_IS_LIVE"
	CodeKeyNotActive        Code = "STREAM_KEY_STATE_NOT_ACTIVE"
	CodeKeyBusy             Code = "STREAM_KEY_BUSY"
	CodeKeyNotInactive      Code = "STREAM_KEY_STATE_NOT_INACTIVE"
	CodeKeyNotInactiveLive  Code = "STREAM_KEY_STATE_NOT_INACTIVE_LIVE"
	CodeMemberIsLive        Code = "MEMBER_IS_LIVE"
	CodeAppNotFound         Code = "APP_NOT_FOUND"
	CodeMemberNotFound      Code = "MEMBER_NOT_FOUND"
	CodeKeyNotFound         Code = "STREAM_KEY_NOT_FOUND"
	CodeRoomNotFound        Code = "VIDEO_ROOM_NOT_FOUND"
	CodePostNotFound        Code = "VIDEO_POST_NOT_FOUND"
	CodeProfileNotFound     Code = "TRANSCODING_PROFILE_NOT_FOUND"
	CodeAPIKeyNotFound      Code = "API_KEY_NOT_FOUND"
	CodeAppNotEmpty         Code = "APP_NOT_EMPTY"
	CodeProfileInUse        Code = "TRANSCODING_PROFILE_IN_USE"
	CodeProfileReadOnly     Code = "TRANSCODING_PROFILE_READ_ONLY"
	CodeInvalidCredentials  Code = "INVALID_CREDENTIALS"
	CodeInvalidField        Code = "INVALID_FIELD"
	CodeInvalidAppUserID    Code = "INVALID_APP_USER_ID_FORMAT"
	CodeCustomDataTooLarge  Code = "CUSTOM_DATA_TOO_LARGE"
	CodeInvalidCursor       Code = "INVALID_CURSOR"
	CodeRoomTypeUnavailable Code = "VIDEO_ROOM_TYPE_NOT_AVAILABLE"
	CodeRoomNotBroadcast    Code = "VIDEO_ROOM_TYPE_NOT_BROADCAST_RTMP"
	CodeVersionMismatch     Code = "VERSION_MISMATCH"
	CodeBusy                Code = "TRY_AGAIN" // lost five races in a row
	CodeEventNotFound       Code = "EVENT_NOT_FOUND"
	CodeDeadEventNotFound   Code = "DEAD_LETTER_NOT_FOUND"
	CodeEndpointNotFound    Code = "WEBHOOK_ENDPOINT_NOT_FOUND"
	CodeEndpointDisabled    Code = "WEBHOOK_ENDPOINT_DISABLED"
	CodeTooManyEndpoints    Code = "TOO_MANY_WEBHOOK_ENDPOINTS"
	// CodeIdempotencyKeyReused: another call has used the key.
	CodeIdempotencyKeyReused Code = "IDEMPOTENCY_KEY_REUSED"
	// CodeEventForbidden: the tables forbid an event that is newer than the
	// fence. Never shown to callers: journalled, counted, acknowledged.
	CodeEventForbidden Code = "EVENT_FORBIDDEN"
)

// FieldError is one wrong field of an input: Field is its JSON path.
type FieldError struct {
	Field, Message string
}

// Refusal says that the rules forbid an input. Nothing may be written but a
// journal entry. Every error that a caller may branch on is one.
type Refusal struct {
	Code Code
	// State is the machine's state that forbids it; Allowed lists what the
	// caller could do instead, in API words; it may be empty.
	State   string
	Allowed []string
	Message string
	// Fields lists every wrong field of an invalid input.
	Fields []FieldError
}

// Error is one sentence for people.
func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s", r.Code, r.Message) }
