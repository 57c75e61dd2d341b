package httpapi

import (
	"context"
	"net/http"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// VideoPost is a recording.
type VideoPost struct {
	ID                   string        `json:"id" example:"post_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	VideoPostState       string        `json:"videoPostState" enum:"CREATED,UPLOADED,QUEUED,PROCESSING,PROCESSED,FAILED_UPLOAD,FAILED_QUEUING,FAILED_PROCESSING" example:"PROCESSED"`
	Type                 string        `json:"type" enum:"LIVE_RECORDED"`
	VideoRoomID          string        `json:"videoRoomId" example:"room_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	MemberID             string        `json:"memberId" example:"mem_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	Title                *string       `json:"title" example:"Sunday talk"`
	Description          *string       `json:"description"`
	DurationMs           *int64        `json:"durationMs" doc:"Milliseconds; null until it is playable" example:"3600000"`
	Progress             *int          `json:"progress" doc:"Percent, while PROCESSING" example:"42"`
	Source               *postFile     `json:"source" doc:"The original as one MP4; null until UPLOADED, and where its stretches cannot be joined without encoding anew"`
	Sources              []postFile    `json:"sources" nullable:"false" doc:"The original's files, where they could not be joined"`
	Playback             *postPlayback `json:"playback" doc:"Where to watch; from about 5 seconds after the end on, and again with other URLs when it is PROCESSED"`
	Renditions           []rendition   `json:"renditions" nullable:"false" doc:"What it was transcoded to"`
	ThumbnailURL         *string       `json:"thumbnailURL" doc:"JPEG"`
	PreviewURL           *string       `json:"previewURL" doc:"Animated WebP"`
	SpriteURL            *string       `json:"spriteURL" doc:"JPEG with the pictures that spriteVttURL cuts out"`
	SpriteVTTURL         *string       `json:"spriteVttURL" doc:"WebVTT"`
	TranscodingProfileID *string       `json:"transcodingProfileId"`
	Failure              *postFailure  `json:"failure" doc:"In the FAILED states"`
	CreatedAt            timestamp     `json:"createdAt"`
	LastModifiedAt       timestamp     `json:"lastModifiedAt"`
}

type postFile struct {
	_           struct{} `nullable:"true"`
	URL         string   `json:"url" example:"https://media.example.com/vod/p1/source.mp4"`
	Size        int64    `json:"size" doc:"Bytes" example:"1350000000"`
	ContentType string   `json:"contentType" example:"video/mp4"`
}

type postPlayback struct {
	_       struct{} `nullable:"true"`
	HLSURL  *string  `json:"hlsURL" example:"https://media.example.com/vod/p1/main.m3u8"`
	DASHURL *string  `json:"dashURL" example:"https://media.example.com/vod/p1/main.mpd"`
	MP4URL  *string  `json:"mp4URL" example:"https://media.example.com/vod/p1/source.mp4"`
}

type rendition struct {
	Name      string   `json:"name" example:"720p"`
	Type      string   `json:"type" enum:"video,audio"`
	Codecs    *string  `json:"codecs" doc:"RFC 6381" example:"avc1.640020"`
	Width     *int     `json:"width" doc:"Pixels" example:"1280"`
	Height    *int     `json:"height" doc:"Pixels" example:"720"`
	FrameRate *float64 `json:"frameRate" example:"30"`
	Bitrate   *int64   `json:"bitrate" doc:"Bits per second" example:"2800000"`
}

type postFailure struct {
	_       struct{} `nullable:"true"`
	Code    string   `json:"code" doc:"UPPER_SNAKE, stable" example:"NO_MEDIA"`
	Message string   `json:"message" example:"the recording holds no media"`
}

func videoPostOf(v control.PostView) VideoPost {
	p := v.Post
	out := VideoPost{
		ID: string(p.ID), VideoPostState: string(p.State), Type: "LIVE_RECORDED", VideoRoomID: string(p.RoomID),
		MemberID: string(p.MemberID), Title: orNull(p.Title), Description: orNull(p.Description),
		DurationMs: known(p.Duration.Milliseconds()), Progress: p.Progress, Sources: []postFile{}, Renditions: []rendition{},
		ThumbnailURL: orNull(v.ThumbnailURL), PreviewURL: orNull(v.PreviewURL), SpriteURL: orNull(v.SpriteURL),
		SpriteVTTURL: orNull(v.SpriteVTTURL), TranscodingProfileID: orNull(p.TranscodingProfileID),
		CreatedAt: timestamp{p.CreatedAt}, LastModifiedAt: timestamp{p.ModifiedAt},
	}
	for i, f := range p.Sources {
		file := postFile{URL: v.SourceURLs[i], Size: f.SizeBytes, ContentType: f.ContentType}
		if len(p.Sources) == 1 {
			out.Source = &file
		} else {
			out.Sources = append(out.Sources, file)
		}
	}
	if p.Playable() {
		out.Playback = &postPlayback{HLSURL: orNull(v.HLSURL), DASHURL: orNull(v.DASHURL), MP4URL: orNull(v.MP4URL)}
	}
	for _, r := range p.Renditions {
		out.Renditions = append(out.Renditions, rendition{
			Name: r.Name, Type: r.Kind, Codecs: orNull(r.Codecs), Width: known(r.WidthPixels), Height: known(r.HeightPixels),
			FrameRate: known(r.FrameRate), Bitrate: known(r.BitrateBPS),
		})
	}
	if f := p.Failure; f != nil {
		out.Failure = &postFailure{Code: f.Code, Message: f.Message}
	}
	return out
}

type postPatch struct {
	Title       opt[string] `json:"title" required:"false" maxLength:"200" example:"Sunday talk"`
	Description opt[string] `json:"description" required:"false" maxLength:"500"`
}

type postCall struct {
	PostPath
	Body *empty
}

type PostPath struct {
	ID broadcast.PostID `path:"id" doc:"The video post's id" example:"post_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
}

// PostState narrows a list of video posts.
type PostState struct {
	State broadcast.PostState `query:"videoPostState" enum:"CREATED,UPLOADED,QUEUED,PROCESSING,PROCESSED,FAILED_UPLOAD,FAILED_QUEUING,FAILED_PROCESSING" doc:"Only posts in this state"`
}

func onePost(v control.PostView, err error) (*one[VideoPost], error) {
	return &one[VideoPost]{etag(v.Post.Revision), videoPostOf(v)}, err
}

func postEndpoint(s side, id, method, path, summary, description string, codes ...broadcast.Code) endpoint {
	e := endpoint{
		side: s, id: id, method: method, path: "/video-posts" + path, tag: "Video posts",
		summary: summary, description: description, codes: codes,
		body: method == http.MethodPost || method == http.MethodPatch,
	}
	if s == clientAPI {
		e.id, e.tag = "own"+upperFirst(id), "Client API"
	}
	if path != "" {
		e.codes = append(e.codes, broadcast.CodePostNotFound)
	}
	return e
}

func (a *api) registerVideoPosts() {
	register(a, postEndpoint(serverAPI, "listVideoPosts", http.MethodGet, "", "List video posts", "Newest first.",
		broadcast.CodeInvalidCursor, broadcast.CodeMemberNotFound),
		func(ctx context.Context, c control.Caller, in *struct {
			Page
			PostState
			AppUserID string `query:"appUserId" maxLength:"128" doc:"Only posts of this member"`
		},
		) (*listed[VideoPost], error) {
			l, err := a.Service.Posts(ctx, c, in.State, in.AppUserID, in.of())
			return listOf(l, videoPostOf), err
		})
	register(a, postEndpoint(clientAPI, "listVideoPosts", http.MethodGet, "", "List the member's video posts", "Newest first.",
		broadcast.CodeInvalidCursor),
		func(ctx context.Context, c control.Caller, in *struct {
			Page
			PostState
		},
		) (*listed[VideoPost], error) {
			l, err := a.Service.Posts(ctx, c, in.State, "", in.of())
			return listOf(l, videoPostOf), err
		})
	for _, s := range []side{serverAPI, clientAPI} {
		register(a, postEndpoint(s, "getVideoPost", http.MethodGet, "/{id}", "Get a video post",
			"With where to watch it, from about 5 seconds after the end of its show on, and how far its processing is."),
			func(ctx context.Context, c control.Caller, in *PostPath) (*one[VideoPost], error) {
				return onePost(a.Service.Post(ctx, c, in.ID))
			})
	}
	register(a, postEndpoint(serverAPI, "updateVideoPost", http.MethodPatch, "/{id}", "Change what a video post shows",
		"JSON Merge Patch: a field that is left out stays, null clears it. Possible in every state.", broadcast.CodeVersionMismatch),
		func(ctx context.Context, c control.Caller, in *struct {
			PostPath
			Guarded
			Body postPatch
		},
		) (*one[VideoPost], error) {
			return onePost(a.Service.UpdatePost(ctx, c, in.ID, control.PostPatch{
				Title: in.Body.Title.Field, Description: in.Body.Description.Field, IfVersion: ifVersion(in.IfMatch),
			}))
		})
	register(a, postEndpoint(serverAPI, "deleteVideoPost", http.MethodDelete, "/{id}", "Delete a video post",
		"It is gone at once; its files follow in the background."),
		func(ctx context.Context, c control.Caller, in *PostPath) (*none, error) {
			return &none{}, a.Service.DeletePost(ctx, c, in.ID)
		})
	register(a, postEndpoint(serverAPI, "retryVideoPost", http.MethodPost, "/{id}/retry", "Take a failed video post up again",
		"Only in a FAILED state.", broadcast.CodePostNotFailed),
		func(ctx context.Context, c control.Caller, in *postCall) (*one[VideoPost], error) {
			return onePost(a.Service.RetryPost(ctx, c, in.ID))
		},
		func(ctx context.Context, c control.Caller, in *postCall, _ control.OnceRecord) (*one[VideoPost], error) {
			return onePost(a.Service.Post(ctx, c, in.ID))
		})
}
