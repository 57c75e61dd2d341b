package disk

import (
	"path"
	"strings"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/manifest"
)

// headers are what an object's Content-Type and Cache-Control are.
type headers struct {
	ContentType  string
	CacheControl string
}

// defaults answers the headers that the name of an object stands for
// (docs/cmaf.md, "Layout"). An object that was put with others has a file
// under metaDir.
func defaults(key string) headers {
	switch path.Ext(key) {
	case ".m3u8":
		return headers{"application/vnd.apple.mpegurl", manifest.CacheControl}
	case ".mpd":
		return headers{"application/dash+xml", manifest.CacheControl}
	case ".m4s", ".mp4":
		if audio(key) {
			return headers{"audio/mp4", manifest.Immutable}
		}
		return headers{"video/mp4", manifest.Immutable}
	case ".json":
		return headers{"application/json", manifest.Immutable}
	case ".jpg":
		return headers{"image/jpeg", manifest.Immutable}
	}
	return headers{"application/octet-stream", ""}
}

// audio reports whether a media object is of the audio rendition: a/<n>.m4s,
// a-init.mp4.
func audio(key string) bool {
	dir, name := path.Split(key)
	return path.Base(dir) == "a" || strings.HasPrefix(name, "a-init.")
}

// headersOf answers what opt asks for; "" stands for the default.
func headersOf(key string, opt control.PutOptions) headers {
	h := defaults(key)
	if opt.ContentType != "" {
		h.ContentType = opt.ContentType
	}
	if opt.CacheControl != "" {
		h.CacheControl = opt.CacheControl
	}
	return h
}
