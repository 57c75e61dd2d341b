package httpapi

import (
	"cmp"
	"math"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// The resources of docs/contract.md. A field that has no value is null and
// never left out.

type app struct {
	ID                            string    `json:"id" example:"app_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	Name                          string    `json:"name" example:"Acme Live"`
	DefaultOutputMode             string    `json:"defaultOutputMode" enum:"RTMP,CMAF,RTMP_CMAF" example:"CMAF" doc:"Live outputs where neither the publishing URL nor the stream key says otherwise"`
	DefaultTranscodingProfileID   *string   `json:"defaultTranscodingProfileId" doc:"Profile of live streams; null = passthrough"`
	VODTranscodingProfileID       *string   `json:"vodTranscodingProfileId" doc:"Profile of recordings; null = the shipped one"`
	ThumbnailTranscodingProfileID *string   `json:"thumbnailTranscodingProfileId" doc:"Profile of recordings' thumbnails; null = the shipped one"`
	PreviewTranscodingProfileID   *string   `json:"previewTranscodingProfileId" doc:"Profile of recordings' previews; null = the shipped one"`
	ReconnectWindowSeconds        *int      `json:"reconnectWindowSeconds" doc:"How long a room may stay LIVE_INACTIVE before it ends; null = no limit" example:"120"`
	MaxLiveSeconds                *int      `json:"maxLiveSeconds" doc:"How long a room may be live; null = no limit" example:"43200"`
	CreatedAt                     timestamp `json:"createdAt"`
	LastModifiedAt                timestamp `json:"lastModifiedAt"`
}

func appOf(a control.App) app {
	return app{
		ID: string(a.ID), Name: a.Name, DefaultOutputMode: string(a.DefaultOutputMode),
		DefaultTranscodingProfileID:   orNull(a.DefaultTranscodingProfileID),
		VODTranscodingProfileID:       orNull(a.VODTranscodingProfileID),
		ThumbnailTranscodingProfileID: orNull(a.ThumbnailTranscodingProfileID),
		PreviewTranscodingProfileID:   orNull(a.PreviewTranscodingProfileID),
		ReconnectWindowSeconds:        wholeSeconds(a.ReconnectWindow),
		MaxLiveSeconds:                wholeSeconds(a.MaxLive),
		CreatedAt:                     timestamp{a.CreatedAt}, LastModifiedAt: timestamp{a.ModifiedAt},
	}
}

func wholeSeconds(d *time.Duration) *int {
	if d == nil {
		return nil
	}
	s := int(d.Seconds())
	return &s
}

type member struct {
	ID                   string            `json:"id" example:"mem_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	AppUserID            string            `json:"appUserId" doc:"The app's own user id" example:"user-42"`
	AppUserName          *string           `json:"appUserName" example:"Kim"`
	AppUserProfileImgURL *string           `json:"appUserProfileImgUrl" example:"https://example.com/kim.png"`
	CustomType           *string           `json:"customType" example:"vip"`
	CustomData           map[string]string `json:"customData" example:"{\"team\":\"red\"}"`
	CreatedAt            timestamp         `json:"createdAt"`
	LastModifiedAt       timestamp         `json:"lastModifiedAt"`
}

func memberOf(m control.Member) member {
	return member{
		ID: string(m.ID), AppUserID: m.AppUserID, AppUserName: orNull(m.UserName),
		AppUserProfileImgURL: orNull(m.ProfileImgURL), CustomType: orNull(m.CustomType),
		CustomData: notNil(m.CustomData), CreatedAt: timestamp{m.CreatedAt}, LastModifiedAt: timestamp{m.ModifiedAt},
	}
}

func notNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

type playback struct {
	_          struct{} `nullable:"true"`
	HLSURL     *string  `json:"hlsURL" example:"http://127.0.0.1:8080/live/p1/main.m3u8"`
	DASHURL    *string  `json:"dashURL" example:"http://127.0.0.1:8080/live/p1/main.mpd"`
	RTMPURL    *string  `json:"rtmpURL"`
	HTTPFLVURL *string  `json:"httpFlvURL"`
}

func playbackOf(p *control.Playback) *playback {
	if p == nil {
		return nil
	}
	return &playback{
		HLSURL: orNull(p.HLSURL), DASHURL: orNull(p.DASHURL), RTMPURL: orNull(p.RTMPURL), HTTPFLVURL: orNull(p.HTTPFLVURL),
	}
}

// ingest is the health of the current ingest, as the worker last told it.
type ingest struct {
	_                  struct{}  `nullable:"true"`
	StartedAt          timestamp `json:"startedAt"`
	RemoteAddress      *string   `json:"remoteAddress" example:"203.0.113.7:51432"`
	RemoteSoftware     *string   `json:"remoteSoftware" doc:"What the encoder calls itself" example:"obs-output module (libobs version 31.0.0)"`
	VideoCodec         *string   `json:"videoCodec" doc:"RFC 6381; null = no video" example:"avc1.64001f"`
	AudioCodec         *string   `json:"audioCodec" doc:"RFC 6381; null = no audio" example:"mp4a.40.2"`
	Width              *int      `json:"width" doc:"Pixels" example:"1280"`
	Height             *int      `json:"height" doc:"Pixels" example:"720"`
	FrameRate          *float64  `json:"frameRate" doc:"Frames per second" example:"30"`
	Bitrate            *int64    `json:"bitrate" doc:"Bits per second" example:"3000000"`
	KeyFrameIntervalMs *int64    `json:"keyFrameIntervalMs" example:"2000"`
	DroppedFrames      int64     `json:"droppedFrames" doc:"Pictures and audio frames of this ingest that viewers do not get: broken, overlapping, or before a key frame" example:"0"`
	ClockDriftMs       int64     `json:"clockDriftMs" doc:"How much longer than its own clock says the encoder has taken since it began, by the minute: positive where its clock is slow" example:"-35"`
	Warnings           []string  `json:"warnings" nullable:"false" doc:"What the encoder had better change" example:"[\"12 broken video access units were dropped\"]"`
}

func ingestOf(l broadcast.Lease) *ingest {
	if l.Holder == nil || l.Health == nil {
		return nil
	}
	h := l.Health
	return &ingest{
		StartedAt: timestamp{h.StartedAt}, RemoteAddress: orNull(l.Holder.Remote), RemoteSoftware: orNull(h.Software),
		VideoCodec: orNull(h.VideoCodec), AudioCodec: orNull(h.AudioCodec),
		Width: known(h.WidthPixels), Height: known(h.HeightPixels), FrameRate: known(h.FrameRate),
		Bitrate: known(h.BitrateBPS), KeyFrameIntervalMs: known(h.KeyFrameInterval.Milliseconds()),
		DroppedFrames: h.Dropped, ClockDriftMs: h.Drift.Milliseconds(),
		Warnings: append([]string{}, h.Warnings...),
	}
}

// known is nil for a measure that is not there: zero, or not a number.
func known[T int | int64 | float64](v T) *T {
	if f := float64(v); f <= 0 || math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return &v
}

// keyError is why the last publish was refused or ended.
type keyError struct {
	_       struct{}  `nullable:"true"`
	Code    string    `json:"code" example:"UNKNOWN_MODE"`
	Message string    `json:"message" example:"mode must be RTMP, CMAF or RTMP_CMAF"`
	At      timestamp `json:"at"`
}

type StreamKey struct {
	ID                   string    `json:"id" example:"key_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	StreamKeyState       string    `json:"streamKeyState" enum:"INACTIVE,ACTIVE_PREP,ACTIVE,ACTIVE_LIVE,INACTIVE_LIVE,ACTIVE_LIVE_PREP" example:"ACTIVE_LIVE"`
	IngestURL            *string   `json:"ingestURL" doc:"Publish to ingestURL/streamKey, with ?mode= for another output mode" example:"rtmp://127.0.0.1:1935/live"`
	StreamKey            *string   `json:"streamKey" doc:"The secret; null for operators" example:"sk_4f0c2a"`
	Mode                 *string   `json:"mode" enum:"RTMP,CMAF,RTMP_CMAF" example:"CMAF" doc:"Effective mode of the current ingest"`
	OutputMode           *string   `json:"outputMode" enum:"RTMP,CMAF,RTMP_CMAF" doc:"Set on the key; null = the app's"`
	TranscodingProfileID *string   `json:"transcodingProfileId"`
	VideoRoomID          *string   `json:"videoRoomId" doc:"The room that the key carries" example:"room_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	Playback             *playback `json:"playback" doc:"The owner's preview, from ACTIVE on"`
	Ingest               *ingest   `json:"ingest" doc:"Health of the current ingest"`
	LastError            *keyError `json:"lastError"`
	CreatedAt            timestamp `json:"createdAt"`
	LastModifiedAt       timestamp `json:"lastModifiedAt"`
}

func streamKeyOf(v control.KeyView) StreamKey {
	k := v.Key
	s := StreamKey{
		ID: string(k.ID), StreamKeyState: string(k.State), IngestURL: orNull(v.IngestURL), StreamKey: orNull(v.String),
		Mode: orNull(k.Mode), OutputMode: orNull(k.OutputMode), TranscodingProfileID: orNull(k.TranscodingProfileID),
		VideoRoomID: orNull(k.RoomID), Playback: playbackOf(v.Playback), Ingest: ingestOf(v.Lease),
		CreatedAt: timestamp{k.CreatedAt}, LastModifiedAt: timestamp{k.ModifiedAt},
	}
	if e := k.LastError; e != nil {
		s.LastError = &keyError{Code: e.Code, Message: e.Message, At: timestamp{e.At}}
	}
	return s
}

type VideoRoom struct {
	ID                 string            `json:"id" example:"room_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	Type               string            `json:"type" enum:"BROADCAST_RTMP,VIDEO_CONFERENCE"`
	VideoRoomState     string            `json:"videoRoomState" enum:"SCHEDULED,LIVE,LIVE_INACTIVE,ENDED,ARCHIVED,CANCELLED" example:"LIVE"`
	VODState           string            `json:"vodState" enum:"NOT_ARCHIVED,ARCHIVING,ARCHIVED,FAILED_ARCHIVING"`
	AppUserID          string            `json:"appUserId" example:"user-42"`
	MemberID           string            `json:"memberId" example:"mem_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	Title              *string           `json:"title" example:"Sunday talk"`
	Description        *string           `json:"description"`
	AccessLevel        string            `json:"accessLevel" enum:"PUBLIC"`
	CustomType         *string           `json:"customType"`
	CustomData         map[string]string `json:"customData" example:"{\"season\":\"2\"}"`
	ScheduledAt        timestamp         `json:"scheduledAt" doc:"Shown only, starts nothing"`
	LiveStartedAt      *timestamp        `json:"liveStartedAt" nullable:"true" example:"2026-03-01T12:00:00.000Z"`
	LiveEndedAt        *timestamp        `json:"liveEndedAt" nullable:"true"`
	EndReason          *string           `json:"endReason" enum:"ENDED,FORCED,RECONNECT_TIMEOUT,MAX_DURATION"`
	Playback           *playback         `json:"playback" doc:"Where to watch; null unless the room is LIVE or LIVE_INACTIVE"`
	VideoPostID        *string           `json:"videoPostId" doc:"The recording"`
	ForciblyTerminated bool              `json:"forciblyTerminated"`
	CreatedAt          timestamp         `json:"createdAt"`
	LastModifiedAt     timestamp         `json:"lastModifiedAt"`
}

func videoRoomOf(v control.RoomView) VideoRoom {
	r := v.Room
	return VideoRoom{
		ID: string(r.ID), Type: string(cmp.Or(r.Type, broadcast.BroadcastRTMP)), VideoRoomState: string(r.State), VODState: string(r.VODState),
		AppUserID: r.AppUserID, MemberID: string(r.MemberID), Title: orNull(r.Title), Description: orNull(r.Description),
		AccessLevel: accessPublic, CustomType: orNull(r.CustomType), CustomData: notNil(r.CustomData),
		ScheduledAt: timestamp{r.ScheduledAt}, LiveStartedAt: timestampOf(r.LiveStartedAt), LiveEndedAt: timestampOf(r.LiveEndedAt),
		EndReason: orNull(r.EndReason), Playback: playbackOf(v.Playback), VideoPostID: orNull(r.PostID),
		ForciblyTerminated: r.ForciblyTerminated, CreatedAt: timestamp{r.CreatedAt}, LastModifiedAt: timestamp{r.ModifiedAt},
	}
}

// accessPublic is the only access level that there is so far.
const accessPublic = "PUBLIC"
