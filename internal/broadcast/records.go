package broadcast

import "time"

// Hash is the SHA-256 of a secret.
type Hash [32]byte

// Fence orders the events of a key: by epoch, then by sequence number.
type Fence struct {
	Epoch, Seq uint64
}

// Before reports whether f is older than g.
func (f Fence) Before(g Fence) bool {
	return f.Epoch < g.Epoch || f.Epoch == g.Epoch && f.Seq < g.Seq
}

// KeyError is the last reason for which a publish was refused or ended.
type KeyError struct {
	Code    string // stable, UPPER_SNAKE
	Message string
	At      time.Time
}

// StreamKey is a member's right to publish. One per member.
type StreamKey struct {
	ID        KeyID
	AppID     AppID
	MemberID  MemberID
	AppUserID string
	State     KeyState
	// RoomID is the room that the key carries; "" = none.
	RoomID RoomID
	// Mode is the effective mode of the current ingest, and of the carried
	// room; "" when neither is there.
	Mode Mode
	// OutputMode is set on the key; "" = the app's.
	OutputMode           Mode
	TranscodingProfileID ProfileID
	// Fence is the last event that was applied.
	Fence Fence
	// Hash is that of the stream key string; Generation rises with every new
	// string and begins at 1.
	Hash       Hash
	Generation uint64
	LastError  *KeyError
	// Warned are the kinds of ingest warnings that the app was told of in the
	// session of that epoch, with spaces between them.
	Warned      string `json:",omitempty"`
	WarnedEpoch uint64 `json:",omitempty"`
	CreatedAt   time.Time
	ModifiedAt  time.Time
	// Sequence counts the events of this machine, from 1, without a gap.
	Sequence uint64
	// Version is that of the stored record; every write expects the one that
	// was read. 0 = not stored yet.
	Version uint64
}

// VideoRoom is a show: scheduled, live, ended, archived. Type "" is
// BROADCAST_RTMP: a room of before this field.
type VideoRoom struct {
	ID                 RoomID
	AppID              AppID
	MemberID           MemberID
	AppUserID          string
	KeyID              KeyID
	Type               RoomType
	State              RoomState
	VODState           VODState
	Title              string
	Description        string
	CustomType         string
	CustomData         map[string]string
	ScheduledAt        time.Time
	LiveStartedAt      *time.Time
	LiveEndedAt        *time.Time
	DroppedAt          *time.Time // since when LIVE_INACTIVE; nil in other states
	EndReason          EndReason
	ForciblyTerminated bool
	RecordingDiscarded bool
	// PlayID and Mode are those of the show, from go live on, and stay after
	// the end: the recording lies under that play id.
	PlayID PlayID
	Mode   Mode
	// RecordFrom is the media sequence number after the one that was open at go
	// live, or less; RecordTo the recording's last one. 0 = not known yet.
	RecordFrom, RecordTo uint64
	PostID               PostID
	CreatedAt            time.Time
	ModifiedAt           time.Time
	Sequence             uint64
	Version              uint64
}

// VideoPost is a recording on its way to be watched.
type VideoPost struct {
	ID          PostID
	AppID       AppID
	MemberID    MemberID
	RoomID      RoomID
	State       PostState
	Title       string
	Description string
	// PlayID is the show's: the live segments that Playback may point at lie
	// under it. "" = a post of before this field; its room has it.
	PlayID PlayID
	// RecordFrom and RecordTo are the room's.
	RecordFrom, RecordTo uint64
	// LiveFrom is the moment of go live: the recording begins with the first key
	// frame from then on by the clock of its segments, within RecordFrom - 1 or
	// later. Zero = a post of before this field: it begins with RecordFrom.
	LiveFrom time.Time
	// Duration is that of the media in whole milliseconds; 0 = not known yet.
	Duration time.Duration
	// Progress is 0 to 100, while PROCESSING; nil = nothing is processed.
	Progress *int
	// Playback says where to watch; all "" = not playable yet.
	Playback PostPlayback
	// Sources are the original: one file, or one per stretch that could not be
	// joined without encoding anew, in order. Empty = not made.
	Sources    []PostFile
	Renditions []PostRendition
	// Keys of pictures; "" = there is none.
	ThumbnailKey, PreviewKey, SpriteKey, SpriteVTTKey string
	// TranscodingProfileID is the profile of its renditions, at the revision
	// that was the newest then; "" = not chosen yet. Revision 0 = a post of
	// before revisions: the newest.
	TranscodingProfileID       ProfileID
	TranscodingProfileRevision uint64
	// Failure is set in the FAILED states.
	Failure    *PostFailure
	CreatedAt  time.Time
	ModifiedAt time.Time
	// Sequence counts the transitions, from 1 for its creation, without a gap.
	Sequence uint64
	// Revision rises with every change but that of Progress: the ETag.
	Revision uint64
	Version  uint64
}

// PostPlayback are object keys; "" = there is none.
type PostPlayback struct {
	HLSKey, DASHKey, MP4Key string
}

// PostFile is one file of a recording; Key is its object key.
type PostFile struct {
	Key         string
	SizeBytes   int64
	ContentType string
	Duration    time.Duration
}

// PostRendition is one way in which a processed recording can be watched.
type PostRendition struct {
	Name         string
	Kind         string // video or audio
	Codecs       string // RFC 6381; "" = not known
	WidthPixels  int    // 0 for audio
	HeightPixels int
	FrameRate    float64
	BitrateBPS   int64
}

// PostFailure is why a post is in a FAILED state.
type PostFailure struct {
	Code    string // stable, UPPER_SNAKE
	Message string
}

// Lease says who may publish with a key. One per key, made with it, never
// deleted (docs/states.md, "The lease").
type Lease struct {
	KeyID KeyID
	// Epoch rises with every take, close and revoke. A worker's renewal does
	// not change it: it is the condition of every other write.
	Epoch         uint64
	KeyGeneration uint64
	// Holder is nil when nobody publishes.
	Holder *Holder
	PlayID PlayID
	// RefusedUntil is set by disconnect; zero = not refused.
	RefusedUntil time.Time
	Progress
}

// Holder is the ingest session that holds a lease.
type Holder struct {
	Session SessionID
	Worker  WorkerID
	// Address is the worker's private host:port for relays; "" on one machine.
	Address string
	Remote  string // the publisher's address, as shown to the owner
}

// Progress is what a worker reports with each renewal.
type Progress struct {
	Mode Mode
	// Renewals and Media are counters: others watch whether they rise, on
	// their own clock.
	Renewals, Media uint64
	// Phase and Seq are those of the last event of this epoch; "" and 0 = none.
	Phase Phase
	Seq   uint64
	// LastSegment is the media sequence number of the last acknowledged
	// segment; 0 = none.
	LastSegment uint64
	Health      *Health
}

// Health is what the current ingest looks like.
type Health struct {
	StartedAt        time.Time
	Software         string
	VideoCodec       string // RFC 6381; "" = no video
	AudioCodec       string // RFC 6381; "" = no audio
	WidthPixels      int
	HeightPixels     int
	FrameRate        float64
	BitrateBPS       int64
	KeyFrameInterval time.Duration
	// Dropped are the access units of this ingest that viewers never get.
	Dropped int64
	// Drift is how much longer than its own clock says the encoder has taken
	// since it began: positive where its clock is slow, whole milliseconds.
	Drift    time.Duration
	Warnings []string
}
