package disk

import (
	"errors"
	"net/http"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/objects"
)

// Handler serves the objects: the path is the key. GET, HEAD (with Range and
// If-None-Match) and OPTIONS, from every origin; no listing. What is no key is
// not found.
func (d *Disk) Handler() http.Handler { return objects.Handler(d.serve) }

func (d *Disk) serve(w http.ResponseWriter, r *http.Request, key string) {
	f, info, err := d.open(key)
	if errors.Is(err, control.ErrNotFound) {
		objects.Refuse(w, http.StatusNotFound)
		return
	}
	if err != nil {
		objects.Refuse(w, http.StatusInternalServerError)
		return
	}
	defer func() { _ = f.Close() }() // was only read
	h := w.Header()
	h.Set("Content-Type", info.ContentType)
	h.Set("ETag", info.ETag)
	if info.CacheControl != "" {
		h.Set("Cache-Control", info.CacheControl)
	}
	http.ServeContent(w, r, "", info.ModifiedAt, f)
}
