package httpapi

import (
	"errors"
	"maps"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// customData is a merge patch of an object (RFC 7396): null removes an entry.
type customData map[string]*string

// mergeAttempts is how often a patch without If-Match is merged anew because
// somebody was faster.
const mergeAttempts = 5

// merging patches a resource whose custom data are merged entry by entry: what
// is there is read, and the write expects that nobody changed it meanwhile.
// version is what the caller's If-Match asks for; 0 = any.
func merging[T any](
	patch opt[customData], version uint64,
	read func() (map[string]string, uint64, error),
	write func(data control.Field[map[string]string], version uint64) (*T, error),
) (*T, error) {
	if patch.Value == nil { // absent, or cleared as a whole
		return write(control.Field[map[string]string]{Set: patch.Set}, version)
	}
	for range mergeAttempts {
		data, have, err := read()
		if err != nil {
			return nil, err
		}
		merged := maps.Clone(data)
		if merged == nil {
			merged = map[string]string{}
		}
		for k, v := range *patch.Value {
			if v == nil {
				delete(merged, k)
			} else {
				merged[k] = *v
			}
		}
		expect := have
		if version != 0 {
			expect = version
		}
		out, err := write(control.Field[map[string]string]{Set: true, Value: &merged}, expect)
		var refusal *broadcast.Refusal
		if version == 0 && errors.As(err, &refusal) && refusal.Code == broadcast.CodeVersionMismatch {
			continue
		}
		return out, err
	}
	return nil, &broadcast.Refusal{Code: broadcast.CodeBusy, Message: "too many changes at the same time; try again"}
}
