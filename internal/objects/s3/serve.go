package s3

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/roomcast/roomcast/internal/control"
)

const methods = "GET, HEAD, OPTIONS"

// Handler serves the objects as CloudFront would, with the headers that they
// were put with: the path is the key. GET, HEAD (with Range and If-None-Match)
// and OPTIONS, from every origin; no listing. What is no key is not found.
func (b *Bucket) Handler() http.Handler { return http.HandlerFunc(b.serve) }

func (b *Bucket) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Accept-Ranges, Cache-Control, Content-Length, Content-Range, Date, ETag, Last-Modified")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Timing-Allow-Origin", "*")
	h.Set("X-Content-Type-Options", "nosniff")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		b.serveObject(w, r)
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

func (b *Bucket) serveObject(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, "/")
	if checkKey(key) != nil {
		b.refuse(w, http.StatusNotFound)
		return
	}
	in := &s3.GetObjectInput{Bucket: &b.name, Key: &key}
	if v := r.Header.Get("Range"); strings.HasPrefix(v, "bytes=") && !strings.Contains(v, ",") {
		in.Range = &v
	}
	if v := r.Header.Get("If-None-Match"); v != "" {
		in.IfNoneMatch = &v
	}
	out, err := b.api.GetObject(r.Context(), in, b.unhurried)
	if err != nil {
		b.refuse(w, statusOf(err))
		return
	}
	defer func() { _ = out.Body.Close() }() // the reader left, or all was read
	h := w.Header()
	h.Set("Accept-Ranges", "bytes")
	h.Set("ETag", aws.ToString(out.ETag))
	h.Set("Last-Modified", aws.ToTime(out.LastModified).UTC().Format(http.TimeFormat))
	h.Set("Content-Length", strconv.FormatInt(aws.ToInt64(out.ContentLength), 10))
	for name, value := range map[string]*string{
		"Content-Type": out.ContentType, "Cache-Control": out.CacheControl, "Content-Range": out.ContentRange,
	} {
		if v := aws.ToString(value); v != "" {
			h.Set(name, v)
		}
	}
	status := http.StatusOK
	if out.ContentRange != nil {
		status = http.StatusPartialContent
	}
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, out.Body) // one of the two left
	}
}

func statusOf(err error) int {
	var answer *awshttp.ResponseError
	switch {
	case errors.Is(mapError(err), control.ErrNotFound):
		return http.StatusNotFound
	case errors.As(err, &answer) && answer.HTTPStatusCode() == http.StatusNotModified:
		return http.StatusNotModified
	case errors.As(err, &answer) && answer.HTTPStatusCode() == http.StatusRequestedRangeNotSatisfiable:
		return http.StatusRequestedRangeNotSatisfiable
	}
	return http.StatusServiceUnavailable
}

// refuse lets caches ask again soon: a segment may come any moment.
func (b *Bucket) refuse(w http.ResponseWriter, status int) {
	if status == http.StatusNotModified {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Cache-Control", "max-age=0, s-maxage=1")
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Cache-Control", "no-store")
	}
	http.Error(w, strings.ToLower(http.StatusText(status)), status)
}

// headerTimeout is how long the bucket may think before an unhurried answer.
const headerTimeout = 10 * time.Second
