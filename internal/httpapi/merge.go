package httpapi

import "github.com/roomcast/roomcast/internal/control"

// customData is a merge patch of an object (RFC 7396): null removes an entry.
type customData map[string]*string

func dataPatch(o opt[customData]) control.DataPatch {
	return control.DataPatch{Clear: o.Set && o.Value == nil, Entries: o.or(nil)}
}

// entries are custom data that are given as a whole.
func entries(data map[string]string) map[string]*string {
	out := make(map[string]*string, len(data))
	for k, v := range data {
		out[k] = &v
	}
	return out
}
