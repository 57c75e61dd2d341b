package control

import (
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// App is one customer's installation of rooms: the boundary that no credential
// crosses.
type App struct {
	ID                          broadcast.AppID
	Name                        string
	DefaultOutputMode           broadcast.Mode
	DefaultTranscodingProfileID broadcast.ProfileID
	VODTranscodingProfileID     broadcast.ProfileID
	// Those of the pictures of recordings; "" = the shipped ones.
	ThumbnailTranscodingProfileID broadcast.ProfileID
	PreviewTranscodingProfileID   broadcast.ProfileID
	// ReconnectWindow is how long a show may stay LIVE_INACTIVE; nil = no limit.
	ReconnectWindow *time.Duration
	// MaxLive is how long a show may last from go live; nil = no limit.
	MaxLive    *time.Duration
	CreatedAt  time.Time
	ModifiedAt time.Time
	Version    uint64
}

// APIKey lets an app's backend call the server API. The secret is not kept.
type APIKey struct {
	ID         string // what the caller sends as the Basic user name
	AppID      broadcast.AppID
	Name       string // for people; may be empty
	SecretHash broadcast.Hash
	CreatedAt  time.Time
	// LastUsedAt is up to a minute old; nil = never used.
	LastUsedAt *time.Time
	RevokedAt  *time.Time // nil = it is valid
	Version    uint64
}

// Member is one of an app's users.
type Member struct {
	ID            broadcast.MemberID
	AppID         broadcast.AppID
	KeyID         broadcast.KeyID
	AppUserID     string
	UserName      string
	ProfileImgURL string
	CustomType    string
	CustomData    map[string]string
	CreatedAt     time.Time
	ModifiedAt    time.Time
	Version       uint64
}

// Actor says who caused a step.
type Actor struct {
	// Kind is api_key, member, operator, worker or sweeper.
	Kind string
	ID   string
	// RequestID is that of the API request; "" = none.
	RequestID string
}

// EntryKind tells journal entries apart.
type EntryKind string

// The kinds of journal entry.
const (
	EntryTransition EntryKind = "transition"
	EntryRefusal    EntryKind = "refusal"
	EntryEvent      EntryKind = "event" // an event that moved nothing
)

// JournalEntry is one line of the answer to "why is it in this state".
type JournalEntry struct {
	ID string // sortable; the tie-breaker within one Version
	// Aggregate is the room's id where a room is concerned, else the key's.
	Aggregate string
	// Version is the aggregate's record version that the entry made or saw:
	// the journal's order.
	Version uint64
	At      time.Time
	Kind    EntryKind
	Machine broadcast.Machine
	From    string
	On      string
	To      string
	Actor   Actor
	EventID broadcast.EventID
	// Reason is a refusal's code or a stop's reason; "" = none.
	Reason string
}

// Notice tells customers of one transition. Written with it, delivered later,
// in the order of Sequence within its Aggregate.
type Notice struct {
	ID        broadcast.EventID
	AppID     broadcast.AppID
	MemberID  broadcast.MemberID
	Aggregate string
	Sequence  uint64
	Type      string // video_room.live, stream_key.state_changed, …
	At        time.Time
	// Room and Key are the resource after the transition; one of the three is set.
	Room *broadcast.VideoRoom `json:",omitempty"`
	Key  *broadcast.StreamKey `json:",omitempty"`
	Post *broadcast.VideoPost `json:",omitempty"`
	// Warnings are those of an ingest.warning.
	Warnings []string `json:",omitempty"`
	// EndpointID is the only endpoint that gets it; "" = all that want it.
	EndpointID string `json:",omitempty"`
}

// JobKind names what a job does.
type JobKind string

// The kinds of job.
const (
	// JobClose closes the live playlists of an ended show.
	JobClose JobKind = "CLOSE"
	// JobArchive makes a post playable over the live segments.
	JobArchive JobKind = "ARCHIVE"
	// JobDiscard deletes the live media of a show.
	JobDiscard JobKind = "DISCARD"
	// JobDelete deletes all objects of a deleted post.
	JobDelete JobKind = "DELETE_POST"
	// JobExpire deletes the live segments that a processed post needs no more.
	JobExpire JobKind = "EXPIRE_LIVE"
	// JobSource makes the original of a post, one MP4.
	JobSource JobKind = "SOURCE"
	// JobTranscode makes the renditions and pictures of a post.
	JobTranscode JobKind = "TRANSCODE"
)

// Job is work that a step leaves behind, done at least once.
type Job struct {
	ID     string
	Kind   JobKind
	RoomID broadcast.RoomID
	PlayID broadcast.PlayID
	PostID broadcast.PostID
	// Attempts counts the failures so far; DueAt is when it is tried next.
	Attempts int
	DueAt    time.Time
	// Launches counts the processes that were started for it.
	Launches int `json:",omitempty"`
	// Claimed says that somebody does it, until DueAt.
	Claimed bool `json:",omitempty"`
}

// KeyRecord is a stream key with what belongs to it; String is the secret.
type KeyRecord struct {
	Key    broadcast.StreamKey
	Lease  broadcast.Lease
	String string
}

// KeyString is a stream key string and where it points. The string lies in a
// record of its own that workers cannot read.
type KeyString struct {
	KeyID      broadcast.KeyID
	String     string
	Hash       broadcast.Hash
	Generation uint64
	// OldHash stops leading anywhere in the same write; zero = there was none.
	OldHash broadcast.Hash
}
