package httpapi

import (
	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast/internal/control"
)

// customData is a merge patch of an object (RFC 7396): null removes an entry.
type customData map[string]*string

// Schema bounds the entries; how many there are afterwards only control knows.
func (customData) Schema(huma.Registry) *huma.Schema { return entriesSchema(true) }

// entryMap is custom data that are given as a whole.
type entryMap map[string]string

// Schema bounds the entries.
func (entryMap) Schema(huma.Registry) *huma.Schema { return entriesSchema(false) }

func entriesSchema(nullable bool) *huma.Schema {
	longest := 50
	return &huma.Schema{
		Type:                 huma.TypeObject,
		AdditionalProperties: &huma.Schema{Type: huma.TypeString, MaxLength: &longest, Nullable: nullable},
		Extensions:           map[string]any{"propertyNames": map[string]any{"maxLength": longest}}, // Huma has no field for it
	}
}

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
