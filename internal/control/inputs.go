package control

import (
	"maps"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// Caller is who calls, already authenticated. MemberID is "" for the server
// API and set for the client API: then only the member's own things exist.
type Caller struct {
	AppID    broadcast.AppID
	MemberID broadcast.MemberID
	// KeyID is the calling member's; "" = it is read when it is needed.
	KeyID broadcast.KeyID
	Actor Actor
}

// Field is one field of a merge patch (RFC 7396): not Set = leave it; Set with
// a nil Value = clear it.
type Field[T any] struct {
	Set   bool
	Value *T
}

// DataPatch changes custom data entry by entry (RFC 7396). The zero value
// changes nothing.
type DataPatch struct {
	// Clear forgets what is there first.
	Clear bool
	// Entries are set; a nil one is removed.
	Entries map[string]*string
}

// apply answers the changed data; what is handed in stays as it is.
func (p DataPatch) apply(data map[string]string) map[string]string {
	out := map[string]string{}
	if !p.Clear {
		maps.Copy(out, data)
	}
	for k, v := range p.Entries {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = *v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (p DataPatch) changes() bool { return p.Clear || len(p.Entries) > 0 }

// AppPatch changes an app.
type AppPatch struct {
	Name                          Field[string]
	DefaultOutputMode             Field[broadcast.Mode]
	DefaultTranscodingProfileID   Field[broadcast.ProfileID]
	VODTranscodingProfileID       Field[broadcast.ProfileID]
	ThumbnailTranscodingProfileID Field[broadcast.ProfileID]
	PreviewTranscodingProfileID   Field[broadcast.ProfileID]
	ReconnectWindowSeconds        Field[int]
	MaxLiveSeconds                Field[int]
	IfVersion                     uint64 // 0 = any; the same in every patch
}

// MemberInput makes or updates a member.
type MemberInput struct {
	AppUserID     string
	UserName      Field[string]
	ProfileImgURL Field[string]
	CustomType    Field[string]
	CustomData    DataPatch
	IfVersion     uint64
}

// KeyPatch changes a stream key's settings.
type KeyPatch struct {
	OutputMode           Field[broadcast.Mode]
	TranscodingProfileID Field[broadcast.ProfileID]
	IfVersion            uint64
}

// RoomInput makes a room. Type must be BROADCAST_RTMP.
type RoomInput struct {
	Type        broadcast.RoomType
	AppUserID   string // ignored when the caller is a member
	ScheduledAt time.Time
	Title       string
	Description string
	AccessLevel string // "" = PUBLIC
	CustomType  string
	CustomData  map[string]string
}

// RoomPatch changes what a room shows.
type RoomPatch struct {
	Title       Field[string]
	Description Field[string]
	ScheduledAt Field[time.Time]
	AccessLevel Field[string]
	CustomType  Field[string]
	CustomData  DataPatch
	IfVersion   uint64
}

// Playback holds the play URLs of a live show by its mode; "" = not in the mode.
type Playback struct {
	HLSURL, DASHURL, RTMPURL, HTTPFLVURL string
}

// KeyView is a stream key with what is joined to it for its owner.
type KeyView struct {
	Key   broadcast.StreamKey
	Lease broadcast.Lease
	// String is the secret; IngestURL has no trailing slash.
	String, IngestURL string
	// Playback is the owner's preview: nil before ACTIVE.
	Playback *Playback
}

// RoomView is a room with its derived play URLs; nil unless it is live.
type RoomView struct {
	Room     broadcast.VideoRoom
	Playback *Playback
}
