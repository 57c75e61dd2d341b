package broadcast

import "time"

// Phase is how far an ingest session is. Phases are cumulative: a later one
// implies the earlier ones.
type Phase string

// The phases of an ingest session; "" = none yet.
const (
	Prep      Phase = "PREP"
	Published Phase = "PUBLISHED"
	Stopped   Phase = "STOPPED"
	// Refused is outside the fence: it sets only LastError.
	Refused Phase = "REFUSED"
)

// Event is what a worker tells of an ingest session (docs/states.md,
// "Events"). The group of its queue message is the key id.
type Event struct {
	ID      EventID
	KeyID   KeyID
	Session SessionID
	Epoch   uint64
	Seq     uint64
	Phase   Phase
	Mode    Mode
	// StopReason is one of EndUnpublish… in words; "" unless Phase is Stopped.
	StopReason string
	// Error becomes the key's LastError; nil = none.
	Error       *KeyError
	LastSegment uint64
	// At is shown, never compared.
	At time.Time
}

// Fence is the event's place in the order of its key.
func (e Event) Fence() Fence { return Fence{e.Epoch, e.Seq} }

// Input is what Step can be asked: an Event or one of the calls below.
type Input interface{ input() }

// GoLive starts the show in State.Room.
type GoLive struct{}

// End ends a show whose publisher is gone. PlayID is the next one, PostID that
// of the recording.
type End struct {
	PlayID PlayID
	PostID PostID
}

// ForceEnd ends whatever the key carries and gives the key a new string, of
// which Hash is the hash. Discard drops the recording.
type ForceEnd struct {
	PlayID  PlayID
	PostID  PostID
	Hash    Hash
	Discard bool
}

// TimeLimit ends a show whose time is over; the key's string stays.
type TimeLimit struct {
	Reason EndReason
	PlayID PlayID
	PostID PostID
}

// Cancel calls a scheduled show off.
type Cancel struct{}

// Revoke cuts the publisher and refuses it until Until; the string stays.
type Revoke struct{ Until time.Time }

// Reissue gives an idle key a new string.
type Reissue struct {
	PlayID PlayID
	Hash   Hash
}

// Saved says that the recording can be watched.
type Saved struct{}

func (Event) input()     {}
func (GoLive) input()    {}
func (End) input()       {}
func (ForceEnd) input()  {}
func (TimeLimit) input() {}
func (Cancel) input()    {}
func (Revoke) input()    {}
func (Reissue) input()   {}
func (Saved) input()     {}
