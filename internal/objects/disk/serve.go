package disk

import (
	"errors"
	"net/http"
	"strings"

	"github.com/roomcast/roomcast/internal/control"
)

// Handler serves the objects: the path is the key. GET, HEAD (with Range and
// If-None-Match) and OPTIONS, from every origin; no listing. What is no key is
// not found.
func (d *Disk) Handler() http.Handler { return http.HandlerFunc(d.serve) }

const methods = "GET, HEAD, OPTIONS"

func (d *Disk) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Accept-Ranges, Cache-Control, Content-Length, Content-Range, Date, ETag, Last-Modified")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Timing-Allow-Origin", "*")
	h.Set("X-Content-Type-Options", "nosniff")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		d.serveObject(w, r)
	case http.MethodOptions:
		h.Set("Allow", methods)
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", "*")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
	default:
		h.Set("Allow", methods)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

func (d *Disk) serveObject(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, "/")
	if checkKey(key) != nil {
		notFound(w)
		return
	}
	f, info, err := d.open(key)
	if errors.Is(err, control.ErrNotFound) {
		notFound(w)
		return
	}
	if err != nil {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "the object cannot be read now", http.StatusInternalServerError)
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

// notFound lets caches ask again soon: a segment may come any moment.
func notFound(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", changing)
	http.Error(w, "not found", http.StatusNotFound)
}
