package control

import "github.com/roomcast/roomcast/internal/broadcast"

func (in RoomInput) check(server bool) error {
	var v invalid
	switch in.Type {
	case broadcast.BroadcastRTMP:
	case broadcast.VideoConference:
		v.add(broadcast.CodeRoomTypeUnavailable, "type", "VIDEO_CONFERENCE rooms are not available yet")
	default:
		v.add(broadcast.CodeInvalidField, "type", "must be BROADCAST_RTMP or VIDEO_CONFERENCE")
	}
	if server {
		v.appUserID(in.AppUserID)
	}
	if in.ScheduledAt.IsZero() {
		v.add(broadcast.CodeInvalidField, "scheduledAt", "must be an ISO 8601 time")
	}
	v.text("title", in.Title, maxTitle)
	v.text("description", in.Description, maxDescription)
	v.text("customType", in.CustomType, maxCustom)
	v.customData(in.CustomData)
	v.accessLevel(in.AccessLevel)
	return v.err()
}

// check says what is wrong with the patch of a room with this custom data.
func (p RoomPatch) check(data map[string]string) error {
	var v invalid
	if p.Title.Value != nil {
		v.text("title", *p.Title.Value, maxTitle)
	}
	if p.Description.Value != nil {
		v.text("description", *p.Description.Value, maxDescription)
	}
	if p.CustomType.Value != nil {
		v.text("customType", *p.CustomType.Value, maxCustom)
	}
	if p.CustomData.changes() {
		v.customData(p.CustomData.apply(data))
	}
	if p.ScheduledAt.Set && (p.ScheduledAt.Value == nil || p.ScheduledAt.Value.IsZero()) {
		v.add(broadcast.CodeInvalidField, "scheduledAt", "cannot be cleared")
	}
	if p.AccessLevel.Value != nil {
		v.accessLevel(*p.AccessLevel.Value)
	}
	return v.err()
}

func (p RoomPatch) apply(r *broadcast.VideoRoom) {
	set(&r.Title, p.Title)
	set(&r.Description, p.Description)
	set(&r.CustomType, p.CustomType)
	r.CustomData = p.CustomData.apply(r.CustomData)
	set(&r.ScheduledAt, p.ScheduledAt)
}
