package broadcast

// KeyRow is one row of the stream key's table.
type KeyRow struct {
	From KeyState
	On   On
	To   KeyState
}

// KeyTable is the whole truth about stream keys; what is not in it is refused
// (docs/states.md, "Stream key").
var KeyTable = [...]KeyRow{
	{KeyInactive, IngestStarted, KeyActivePrep},
	{KeyActivePrep, IngestStopped, KeyInactive},
	{KeyActivePrep, PublishStarted, KeyActive},
	{KeyActive, PublishStopped, KeyInactive},
	{KeyActive, OnGoLive, KeyActiveLive},
	{KeyActiveLive, PublishStopped, KeyInactiveLive},
	{KeyInactiveLive, IngestStarted, KeyActiveLivePrep},
	{KeyActiveLivePrep, IngestStopped, KeyInactiveLive},
	{KeyActiveLivePrep, PublishStarted, KeyActiveLive},
	{KeyInactiveLive, OnEnd, KeyInactive},

	{KeyInactive, OnForceEnd, KeyInactive},
	{KeyActivePrep, OnForceEnd, KeyInactive},
	{KeyActive, OnForceEnd, KeyInactive},
	{KeyActiveLive, OnForceEnd, KeyInactive},
	{KeyInactiveLive, OnForceEnd, KeyInactive},
	{KeyActiveLivePrep, OnForceEnd, KeyInactive},

	{KeyActiveLive, OnTimeLimit, KeyInactive},
	{KeyInactiveLive, OnTimeLimit, KeyInactive},
	{KeyActiveLivePrep, OnTimeLimit, KeyInactive},
}

// RoomRow is one row of the video room's table.
type RoomRow struct {
	From RoomState
	On   On
	To   RoomState
}

// RoomTable is the whole truth about video rooms (docs/states.md, "Video room").
var RoomTable = [...]RoomRow{
	{"", OnCreate, RoomScheduled},
	{RoomScheduled, OnGoLive, RoomLive},
	{RoomScheduled, OnCancel, RoomCancelled},
	{RoomLive, OnKeyDropped, RoomLiveInactive},
	{RoomLiveInactive, OnKeyResumed, RoomLive},
	{RoomLiveInactive, OnEnd, RoomEnded},
	{RoomLive, OnForceEnd, RoomEnded},
	{RoomLiveInactive, OnForceEnd, RoomEnded},
	{RoomLive, OnTimeLimit, RoomEnded},
	{RoomLiveInactive, OnTimeLimit, RoomEnded},
	{RoomEnded, OnSaved, RoomArchived},
}

// PostRow is one row of the video post's table.
type PostRow struct {
	From PostState
	On   On
	To   PostState
}

// PostTable is the whole truth about video posts (docs/states.md, "Video post").
var PostTable = [...]PostRow{
	{"", OnCreate, PostCreated},
	{PostCreated, OnSourceSaved, PostUploaded},
	{PostCreated, OnSourceFailed, PostFailedUpload},
	{PostUploaded, OnQueued, PostQueued},
	{PostUploaded, OnQueuingFailed, PostFailedQueuing},
	{PostQueued, OnProcessing, PostProcessing},
	{PostQueued, OnProcessFailed, PostFailedProcessing},
	{PostProcessing, OnProcessed, PostProcessed},
	{PostProcessing, OnProcessFailed, PostFailedProcessing},
	{PostFailedUpload, OnRetry, PostCreated},
	{PostFailedQueuing, OnRetry, PostQueued},
	{PostFailedProcessing, OnRetry, PostQueued},
}

func nextKey(from KeyState, on On) (KeyState, bool) {
	for _, r := range KeyTable {
		if r.From == from && r.On == on {
			return r.To, true
		}
	}
	return from, false
}

func nextRoom(from RoomState, on On) (RoomState, bool) {
	for _, r := range RoomTable {
		if r.From == from && r.On == on {
			return r.To, true
		}
	}
	return from, false
}

func nextPost(from PostState, on On) (PostState, bool) {
	for _, r := range PostTable {
		if r.From == from && r.On == on {
			return r.To, true
		}
	}
	return from, false
}
