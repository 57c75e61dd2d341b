package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast/internal/control"
)

// opt is one field of a merge patch (RFC 7396): absent, null or a value.
type opt[T any] struct{ control.Field[T] }

// UnmarshalJSON is called only where the field is present.
func (o *opt[T]) UnmarshalJSON(data []byte) error {
	o.Set = true
	if string(bytes.TrimSpace(data)) == "null" {
		o.Value = nil
		return nil
	}
	o.Value = new(T)
	return json.Unmarshal(data, o.Value)
}

// Schema is that of T, or null.
func (opt[T]) Schema(r huma.Registry) *huma.Schema {
	s := *r.Schema(reflect.TypeFor[T](), false, "")
	s.Nullable = true
	return &s
}

// or is the value, or otherwise where there is none.
func (o opt[T]) or(otherwise T) T {
	if o.Value == nil {
		return otherwise
	}
	return *o.Value
}

// whole is a whole number; JSON may write it 30, 30.0 or 3e1.
type whole int

// UnmarshalJSON takes every spelling of a whole number.
func (s *whole) UnmarshalJSON(data []byte) error {
	f, err := strconv.ParseFloat(string(data), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
		return errors.New("expected integer")
	}
	*s = whole(f)
	return nil
}

// Schema hides the method above from Huma, which would otherwise see a string.
func (whole) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeInteger}
}

// timestamp is written in ISO 8601, UTC, with milliseconds.
type timestamp struct{ time.Time }

const timestampLayout = "2006-01-02T15:04:05.000Z"

// MarshalJSON never fails.
func (t timestamp) MarshalJSON() ([]byte, error) {
	return []byte(`"` + t.UTC().Format(timestampLayout) + `"`), nil
}

// Schema is a date-time (RFC 3339).
func (timestamp) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time"}
}

// showable refuses a time that has no place in RFC 3339 once it is in UTC.
func showable(name string, t time.Time) error {
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		return invalid(fieldError{Field: name, Message: "must lie in the years 0 to 9999 of UTC"})
	}
	return nil
}

// timestampOf is nil for a time that has not come.
func timestampOf(t *time.Time) *timestamp {
	if t == nil {
		return nil
	}
	return &timestamp{*t}
}

// orNull is nil for the empty string: absent values are null.
func orNull[T ~string](s T) *string {
	if s == "" {
		return nil
	}
	text := string(s)
	return &text
}

// field converts a field of ours to a field of control's.
func field[T, U any](o opt[T], convert func(T) U) control.Field[U] {
	f := control.Field[U]{Set: o.Set}
	if o.Value != nil {
		v := convert(*o.Value)
		f.Value = &v
	}
	return f
}

// etag names the version of a stored resource (RFC 9110, 8.8.3).
func etag(version uint64) string { return `"` + strconv.FormatUint(version, 10) + `"` }

// ifVersion reads If-Match; 0 = any version, and a tag that was never ours
// becomes a version that never was, so that the use case still says 404 first.
func ifVersion(header string) uint64 {
	header = strings.TrimSpace(header)
	if header == "" || header == "*" {
		return 0
	}
	tag, ok := strings.CutPrefix(header, `"`)
	tag, closed := strings.CutSuffix(tag, `"`)
	v, err := strconv.ParseUint(tag, 10, 64)
	if !ok || !closed || err != nil || v == 0 {
		return math.MaxUint64
	}
	return v
}
