package control

import (
	"fmt"
	"net/url"
	"regexp"
	"unicode/utf8"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// Sizes in characters (docs/contract.md, "Member"); the longest room stays
// below the 4 KB that a stored item may have.
const (
	maxName        = 128
	maxURL         = 1024
	maxTitle       = 200
	maxDescription = 500
	maxCustom      = 50
	maxCustomPairs = 10
)

var appUserIDFormat = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$`)

// invalid collects every wrong field of an input. The zero value is ready.
type invalid struct {
	fields []broadcast.FieldError
	codes  []broadcast.Code
}

func (v *invalid) add(code broadcast.Code, field, format string, args ...any) {
	v.fields = append(v.fields, broadcast.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	v.codes = append(v.codes, code)
}

// err is nil where nothing is wrong; its code is the one that all wrong fields
// share, else INVALID_FIELD.
func (v *invalid) err() error {
	if len(v.fields) == 0 {
		return nil
	}
	code := v.codes[0]
	for _, c := range v.codes {
		if c != code {
			code = broadcast.CodeInvalidField
		}
	}
	r := refuse(code, "%s: %s", v.fields[0].Field, v.fields[0].Message)
	r.Fields = v.fields
	return r
}

func (v *invalid) text(field, s string, limit int) {
	if n := utf8.RuneCountInString(s); n > limit {
		v.add(broadcast.CodeInvalidField, field, "at most %d characters, not %d", limit, n)
	}
}

func (v *invalid) appUserID(s string) {
	if !appUserIDFormat.MatchString(s) {
		v.add(broadcast.CodeInvalidAppUserID, "appUserId", "must match %s", appUserIDFormat)
	}
}

func (v *invalid) imageURL(field, s string) {
	u, err := url.Parse(s)
	if s != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || len(s) > maxURL) {
		v.add(broadcast.CodeInvalidField, field, "must be an http or https URL of at most %d bytes", maxURL)
	}
}

func (v *invalid) customData(data map[string]string) {
	if len(data) > maxCustomPairs {
		v.add(broadcast.CodeCustomDataTooLarge, "customData", "at most %d entries, not %d", maxCustomPairs, len(data))
	}
	for k, s := range data {
		if utf8.RuneCountInString(k) > maxCustom || utf8.RuneCountInString(s) > maxCustom {
			v.add(broadcast.CodeCustomDataTooLarge, "customData", "a key and a value have at most %d characters", maxCustom)
			return
		}
	}
}

func (v *invalid) mode(field string, m broadcast.Mode) {
	if !m.Valid() {
		v.add(broadcast.CodeInvalidField, field, "must be RTMP, CMAF or RTMP_CMAF")
	}
}

func (v *invalid) accessLevel(s string) {
	if s != "" && s != "PUBLIC" {
		v.add(broadcast.CodeInvalidField, "accessLevel", "must be PUBLIC")
	}
}

// set stores a patched field: a null becomes the zero value.
func set[T any](to *T, f Field[T]) {
	if !f.Set {
		return
	}
	var zero T
	if f.Value == nil {
		*to = zero
		return
	}
	*to = *f.Value
}

// checkVersion is If-Match: want 0 = any.
func checkVersion(want, have uint64) error {
	if want != 0 && want != have {
		return refuse(broadcast.CodeVersionMismatch, "the resource has changed since it was read")
	}
	return nil
}
