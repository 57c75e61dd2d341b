package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// Codes of the transport itself: they are answered before any use case runs,
// or when one broke down.
const (
	codeNotFound             broadcast.Code = "NOT_FOUND"
	codeMethodNotAllowed     broadcast.Code = "METHOD_NOT_ALLOWED"
	codeMalformedRequest     broadcast.Code = "MALFORMED_REQUEST"
	codeForbidden            broadcast.Code = "FORBIDDEN"
	codeRequestTimeout       broadcast.Code = "REQUEST_TIMEOUT"
	codeBodyTooLarge         broadcast.Code = "BODY_TOO_LARGE"
	codeUnsupportedMediaType broadcast.Code = "UNSUPPORTED_MEDIA_TYPE"
	codeCallRunning          broadcast.Code = "CALL_STILL_RUNNING"
	codeSecretShown          broadcast.Code = "SECRET_ALREADY_SHOWN"
	codeRateLimited          broadcast.Code = "RATE_LIMITED"
	codeInternal             broadcast.Code = "INTERNAL_ERROR"
	codeUnavailable          broadcast.Code = "SERVICE_UNAVAILABLE"
)

// meaning is what a code says over HTTP. The title never changes between
// occurrences (RFC 9457, 3.1.3).
type meaning struct {
	status int
	title  string
}

// meaningOf is the only map from codes to statuses. ok is false for a code that
// callers never see; it is then a bug of ours to answer it.
func meaningOf(code broadcast.Code) (m meaning, ok bool) {
	switch code {
	case codeMalformedRequest:
		return meaning{http.StatusBadRequest, "The request is malformed"}, true
	case broadcast.CodeInvalidCredentials:
		return meaning{http.StatusUnauthorized, "The credential is missing or wrong"}, true
	case codeForbidden:
		return meaning{http.StatusForbidden, "The credential is for another API"}, true
	case broadcast.CodeProfileReadOnly:
		return meaning{http.StatusForbidden, "The transcoding profile is shipped and read-only"}, true
	case codeMethodNotAllowed:
		return meaning{http.StatusMethodNotAllowed, "The method is not allowed here"}, true
	case codeRequestTimeout:
		return meaning{http.StatusRequestTimeout, "The request came too slowly"}, true
	case broadcast.CodeVersionMismatch:
		return meaning{http.StatusPreconditionFailed, "The resource has changed"}, true
	case codeBodyTooLarge:
		return meaning{http.StatusRequestEntityTooLarge, "The body is too large"}, true
	case codeUnsupportedMediaType:
		return meaning{http.StatusUnsupportedMediaType, "The content type is not supported"}, true
	case codeRateLimited:
		return meaning{http.StatusTooManyRequests, "Too many requests"}, true
	case codeInternal:
		return meaning{http.StatusInternalServerError, "Internal error"}, true
	case broadcast.CodeBusy:
		return meaning{http.StatusServiceUnavailable, "Too many changes at the same time"}, true
	case codeUnavailable:
		return meaning{http.StatusServiceUnavailable, "Temporarily unavailable"}, true
	default: // one of the larger families below
	}
	if title, ok := notFoundTitle(code); ok {
		return meaning{http.StatusNotFound, title}, true
	}
	if title, ok := conflictTitle(code); ok {
		return meaning{http.StatusConflict, title}, true
	}
	if title, ok := invalidTitle(code); ok {
		return meaning{http.StatusUnprocessableEntity, title}, true
	}
	return meaning{http.StatusInternalServerError, "Internal error"}, false
}

func notFoundTitle(code broadcast.Code) (string, bool) {
	switch code {
	case codeNotFound:
		return "There is no such path", true
	case broadcast.CodeAppNotFound:
		return "There is no such app", true
	case broadcast.CodeAPIKeyNotFound:
		return "There is no such API key", true
	case broadcast.CodeMemberNotFound:
		return "There is no such member", true
	case broadcast.CodeKeyNotFound:
		return "There is no such stream key", true
	case broadcast.CodeRoomNotFound:
		return "There is no such video room", true
	case broadcast.CodePostNotFound:
		return "There is no such video post", true
	case broadcast.CodeEventNotFound:
		return "There is no such event", true
	case broadcast.CodeDeadEventNotFound:
		return "There is no such dead letter", true
	case broadcast.CodeEndpointNotFound:
		return "There is no such webhook endpoint", true
	case broadcast.CodeProfileNotFound:
		return "There is no such transcoding profile", true
	default:
		return "", false
	}
}

func conflictTitle(code broadcast.Code) (string, bool) {
	switch code {
	case broadcast.CodeRoomNotScheduled:
		return "The video room is not SCHEDULED", true
	case broadcast.CodeRoomNotLiveInactive:
		return "The video room is not LIVE_INACTIVE", true
	case broadcast.CodeRoomNotBroadcast:
		return "The video room is not of type BROADCAST_RTMP", true
	case broadcast.CodeRoomNotLive:
		return "The video room is not live", true
	case broadcast.CodePostNotFailed:
		return "The video post is in no FAILED state", true
	case broadcast.CodeRoomIsLive:
		return "The video room is live", true
	case broadcast.CodeKeyNotActive:
		return "The stream key is not ACTIVE", true
	case broadcast.CodeKeyBusy:
		return "The stream key carries another room", true
	case broadcast.CodeKeyNotInactive:
		return "The stream key is not INACTIVE", true
	case broadcast.CodeKeyNotInactiveLive:
		return "The stream key is not INACTIVE_LIVE", true
	case broadcast.CodeMemberIsLive:
		return "The member is live", true
	case broadcast.CodeAppNotEmpty:
		return "The app is not empty", true
	case broadcast.CodeProfileInUse:
		return "The transcoding profile is in use", true
	case broadcast.CodeEndpointDisabled:
		return "The webhook endpoint is disabled", true
	case broadcast.CodeTooManyEndpoints:
		return "The app has too many webhook endpoints", true
	case codeCallRunning:
		return "The same call is still running", true
	case codeSecretShown:
		return "The secret was shown already", true
	default:
		return "", false
	}
}

func invalidTitle(code broadcast.Code) (string, bool) {
	switch code {
	case broadcast.CodeInvalidField:
		return "A field is invalid", true
	case broadcast.CodeInvalidAppUserID:
		return "The appUserId has the wrong form", true
	case broadcast.CodeCustomDataTooLarge:
		return "The custom data are too large", true
	case broadcast.CodeIdempotencyKeyReused:
		return "The Idempotency-Key was used for another call", true
	case broadcast.CodeInvalidCursor:
		return "The cursor is invalid", true
	case broadcast.CodeRoomTypeUnavailable:
		return "Video rooms of this type do not exist yet", true
	default:
		return "", false
	}
}

// retryAfter is the Retry-After of every 503, in seconds.
const retryAfter = "1"

// problemOf turns what a use case answered into the problem that the caller
// sees. internal is what only the log may say; nil = the problem says it all.
func problemOf(err error) (p *problem, internal error) {
	var already *problem
	var refusal *broadcast.Refusal
	switch {
	case errors.As(err, &already):
		return already, nil
	case errors.As(err, &refusal):
		if _, ok := meaningOf(refusal.Code); !ok {
			return newProblem(codeInternal, ""), err
		}
		return refused(refusal), nil
	case errors.Is(err, control.ErrNoSpace), errors.Is(err, control.ErrUnavailable),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return newProblem(codeUnavailable, "try again in a moment"), err
	}
	return newProblem(codeInternal, ""), err
}

func refused(r *broadcast.Refusal) *problem {
	p := newProblem(r.Code, r.Message)
	if r.State != "" {
		p.CurrentState, p.AllowedActions = &r.State, append([]string{}, r.Allowed...)
	}
	for _, f := range r.Fields {
		p.Errors = append(p.Errors, fieldError{Field: f.Field, Message: f.Message})
	}
	return p
}
