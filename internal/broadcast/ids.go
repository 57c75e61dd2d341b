// Package broadcast is the rules: the two coupled state machines of stream key
// and video room as tables and one pure function, Step (docs/states.md). No
// clock, no I/O, nothing but the standard library.
package broadcast

// Ids are opaque, prefixed and sortable by creation: app_, mem_, key_, room_,
// post_, prof_, evt_, ses_. "" means none.
type (
	AppID     string
	MemberID  string
	KeyID     string
	RoomID    string
	PostID    string
	ProfileID string
	EventID   string
	SessionID string
	WorkerID  string
	// PlayID names what viewers may read: random, unrelated to the stream key.
	PlayID string
)

// Mode is the set of live outputs.
type Mode string

// The output modes; "" means not set.
const (
	ModeRTMP     Mode = "RTMP"
	ModeCMAF     Mode = "CMAF"
	ModeRTMPCMAF Mode = "RTMP_CMAF"
)

// Valid reports whether m is one of the three modes.
func (m Mode) Valid() bool { return m == ModeRTMP || m == ModeCMAF || m == ModeRTMPCMAF }

// RTMP reports whether viewers may watch by RTMP and HTTP-FLV.
func (m Mode) RTMP() bool { return m == ModeRTMP || m == ModeRTMPCMAF }

// CMAF reports whether viewers may watch by HLS and DASH.
func (m Mode) CMAF() bool { return m == ModeCMAF || m == ModeRTMPCMAF }
