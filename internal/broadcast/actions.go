package broadcast

// RoomActions lists the calls that a room in state s allows while its owner's
// key is in state k, in API words. Never nil.
func RoomActions(s RoomState, k KeyState) []string {
	switch s {
	case RoomScheduled:
		if k == KeyActive {
			return []string{"start", "cancel", "update", "delete"}
		}
		return []string{"cancel", "update", "delete"}
	case RoomLive:
		return []string{"forceEnd", "update"}
	case RoomLiveInactive:
		if k == KeyInactiveLive {
			return []string{"end", "forceEnd", "update"}
		}
		return []string{"forceEnd", "update"}
	case RoomEnded, RoomArchived, RoomCancelled:
		return []string{"update", "delete"}
	}
	return []string{}
}

// KeyActions lists the calls that a key in state s allows. Never nil.
func KeyActions(s KeyState) []string {
	if s == KeyInactive {
		return []string{"reissue", "disconnect", "forceTerminate"}
	}
	return []string{"disconnect", "forceTerminate"}
}
