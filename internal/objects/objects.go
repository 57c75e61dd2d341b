// Package objects is what all object stores share: which keys there are, and
// how objects are served over HTTP.
package objects

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/roomcast/roomcast/internal/manifest"
)

const (
	maxKeyBytes     = 1024 // S3's
	maxElementBytes = 255  // what file systems take
)

// CheckKey refuses what is no key: one that every store can hold has 1 to 1024
// bytes of UTF-8 without backslashes and control characters, in elements of 1
// to 255 bytes between slashes. Elements that begin with a dot are the stores'
// own.
func CheckKey(key string) error {
	if key == "" || len(key) > maxKeyBytes || !utf8.ValidString(key) {
		return fmt.Errorf("a key is 1 to %d bytes of UTF-8", maxKeyBytes)
	}
	for _, r := range key {
		if r == '\\' || unicode.IsControl(r) {
			return errors.New("a key has no backslashes or control characters")
		}
	}
	for e := range strings.SplitSeq(key, "/") {
		if e == "" || e[0] == '.' || len(e) > maxElementBytes {
			return fmt.Errorf("the elements of a key have 1 to %d bytes and do not begin with a dot", maxElementBytes)
		}
	}
	return nil
}

// methods are those that objects are served by.
const methods = "GET, HEAD, OPTIONS"

// Handler serves objects, whose key is the path: GET and HEAD by serve, which
// is given what is a key, and OPTIONS, from every origin. What is no key is
// not found.
func Handler(serve func(w http.ResponseWriter, r *http.Request, key string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "Accept-Ranges, Cache-Control, Content-Length, Content-Range, Date, ETag, Last-Modified")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		h.Set("Timing-Allow-Origin", "*")
		h.Set("X-Content-Type-Options", "nosniff")
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			if key := strings.TrimPrefix(r.URL.Path, "/"); CheckKey(key) != nil {
				Refuse(w, http.StatusNotFound)
			} else {
				serve(w, r, key)
			}
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
	})
}

// Refuse answers a status of 4xx or 5xx. Caches ask again soon: a segment may
// come any moment, and an outage is not kept at all.
func Refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Cache-Control", manifest.CacheControl)
	if status >= http.StatusInternalServerError {
		w.Header().Set("Cache-Control", "no-store")
	}
	http.Error(w, strings.ToLower(http.StatusText(status)), status)
}
