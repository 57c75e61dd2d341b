package broadcast

// KeyState is the state of a stream key.
type KeyState string

// The states of a stream key.
const (
	KeyInactive       KeyState = "INACTIVE"
	KeyActivePrep     KeyState = "ACTIVE_PREP"
	KeyActive         KeyState = "ACTIVE"
	KeyActiveLive     KeyState = "ACTIVE_LIVE"
	KeyInactiveLive   KeyState = "INACTIVE_LIVE"
	KeyActiveLivePrep KeyState = "ACTIVE_LIVE_PREP"
)

// KeyStates lists every state in the order of the documentation.
var KeyStates = [...]KeyState{KeyInactive, KeyActivePrep, KeyActive, KeyActiveLive, KeyInactiveLive, KeyActiveLivePrep}

// Live reports whether a key in this state carries a room.
func (s KeyState) Live() bool {
	return s == KeyActiveLive || s == KeyInactiveLive || s == KeyActiveLivePrep
}

// RoomType says how the media of a video room come in.
type RoomType string

// The types of a video room. Rooms of another type than BROADCAST_RTMP cannot
// be made yet; a later version may have left some, and been rolled back.
const (
	BroadcastRTMP   RoomType = "BROADCAST_RTMP"
	VideoConference RoomType = "VIDEO_CONFERENCE"
)

// RoomState is the state of a video room; "" is a room that is not there yet.
type RoomState string

// The states of a video room.
const (
	RoomScheduled    RoomState = "SCHEDULED"
	RoomLive         RoomState = "LIVE"
	RoomLiveInactive RoomState = "LIVE_INACTIVE"
	RoomEnded        RoomState = "ENDED"
	RoomArchived     RoomState = "ARCHIVED"
	RoomCancelled    RoomState = "CANCELLED"
)

// RoomStates lists every state in the order of the documentation.
var RoomStates = [...]RoomState{RoomScheduled, RoomLive, RoomLiveInactive, RoomEnded, RoomArchived, RoomCancelled}

// Carried reports whether a key carries a room in this state.
func (s RoomState) Carried() bool { return s == RoomLive || s == RoomLiveInactive }

// VODState says how far the recording of a room is.
type VODState string

// The states of a room's recording.
const (
	NotArchived     VODState = "NOT_ARCHIVED"
	Archiving       VODState = "ARCHIVING"
	VODArchived     VODState = "ARCHIVED"
	FailedArchiving VODState = "FAILED_ARCHIVING"
)

// PostState is the state of a video post.
type PostState string

// The states of a video post.
const (
	PostCreated          PostState = "CREATED"
	PostUploaded         PostState = "UPLOADED"
	PostQueued           PostState = "QUEUED"
	PostProcessing       PostState = "PROCESSING"
	PostProcessed        PostState = "PROCESSED"
	PostFailedUpload     PostState = "FAILED_UPLOAD"
	PostFailedQueuing    PostState = "FAILED_QUEUING"
	PostFailedProcessing PostState = "FAILED_PROCESSING"
)

// PostStates lists every state in the order of the documentation.
var PostStates = [...]PostState{
	PostCreated, PostUploaded, PostQueued, PostProcessing, PostProcessed,
	PostFailedUpload, PostFailedQueuing, PostFailedProcessing,
}

// EndReason says why a room ended; "" while it has not.
type EndReason string

// The reasons for an end.
const (
	EndReasonEnded            EndReason = "ENDED"
	EndReasonForced           EndReason = "FORCED"
	EndReasonReconnectTimeout EndReason = "RECONNECT_TIMEOUT"
	EndReasonMaxDuration      EndReason = "MAX_DURATION"
)

// On names what moves a machine: the second column of the tables.
type On string

// What moves a machine.
const (
	IngestStarted  On = "ingest started"
	IngestStopped  On = "ingest stopped"
	PublishStarted On = "publish started"
	PublishStopped On = "publish stopped"
	OnGoLive       On = "go live"
	OnEnd          On = "end broadcast"
	OnForceEnd     On = "force end"
	OnTimeLimit    On = "time limit"
	OnCreate       On = "create"
	OnCancel       On = "cancel"
	OnKeyDropped   On = "key becomes INACTIVE_LIVE"
	OnKeyResumed   On = "key becomes ACTIVE_LIVE"
	OnSaved        On = "recording saved"

	OnSourceSaved   On = "original saved"
	OnSourceFailed  On = "original failed"
	OnQueued        On = "transcoding queued"
	OnQueuingFailed On = "queuing failed"
	OnProcessing    On = "transcoding started"
	OnProcessed     On = "transcoding done"
	OnProcessFailed On = "transcoding failed"
	OnRetry         On = "retry"
)
