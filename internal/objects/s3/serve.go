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
	"github.com/roomcast/roomcast/internal/objects"
)

// Handler serves the objects as CloudFront would, with the headers that they
// were put with: the path is the key. GET, HEAD (with Range and If-None-Match)
// and OPTIONS, from every origin; no listing. What is no key is not found.
func (b *Bucket) Handler() http.Handler { return objects.Handler(b.serve) }

func (b *Bucket) serve(w http.ResponseWriter, r *http.Request, key string) {
	in := &s3.GetObjectInput{Bucket: &b.name, Key: &key}
	if v := r.Header.Get("Range"); strings.HasPrefix(v, "bytes=") && !strings.Contains(v, ",") {
		in.Range = &v
	}
	if v := r.Header.Get("If-None-Match"); v != "" {
		in.IfNoneMatch = &v
	}
	out, err := b.api.GetObject(r.Context(), in, b.unhurried)
	if err != nil {
		if status := statusOf(err); status == http.StatusNotModified {
			w.WriteHeader(status)
		} else {
			objects.Refuse(w, status)
		}
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

// headerTimeout is how long the bucket may think before an unhurried answer.
const headerTimeout = 10 * time.Second
