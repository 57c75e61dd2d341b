package demux

import "errors"

// ErrUnsupported means that the publisher sends what roomcast does not carry.
// The error's text says what it was and what to send instead; it may be shown
// to the publisher.
var ErrUnsupported = errors.New("not supported")

// ErrMalformed means that the publisher's bytes break their own format in a way
// that nothing can be made of. The text may be shown to the publisher.
var ErrMalformed = errors.New("malformed media")
