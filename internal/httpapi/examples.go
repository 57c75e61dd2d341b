package httpapi

import (
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// exampleTime stands where a time has no example of its own.
const exampleTime = "2026-03-01T12:00:00.000Z"

// addExamples gives every body of op an example, made from those of its
// fields, under the name of its schema.
func addExamples(doc *huma.OpenAPI, op *huma.Operation) {
	add := func(content map[string]*huma.MediaType) {
		for _, m := range content {
			if m.Schema == nil || len(m.Examples) > 0 {
				continue
			}
			name := m.Schema.Ref[strings.LastIndex(m.Schema.Ref, "/")+1:]
			if doc.Components.Examples[name] == nil {
				doc.Components.Examples[name] = &huma.Example{Summary: name, Value: exampleOf(doc.Components.Schemas, m.Schema)}
			}
			m.Examples = map[string]*huma.Example{name: {Ref: "#/components/examples/" + name}}
		}
	}
	if op.RequestBody != nil {
		add(op.RequestBody.Content)
	}
	for _, r := range op.Responses {
		add(r.Content)
	}
}

// exampleOf is a value that fits s: of its own example, else of those of what
// it consists of. A field that may be left out is there if it has an example.
func exampleOf(all huma.Registry, s *huma.Schema) any {
	if s.Ref != "" {
		s = all.SchemaFromRef(s.Ref)
	}
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case len(s.Enum) > 0 && !s.Nullable:
		return s.Enum[0]
	case s.Type == huma.TypeObject && len(s.Properties) > 0:
		return exampleObject(all, s)
	case s.Nullable:
		return nil
	}
	switch s.Type {
	case huma.TypeArray:
		return []any{exampleOf(all, s.Items)}
	case huma.TypeObject:
		return map[string]any{}
	case huma.TypeBoolean:
		return false
	case huma.TypeString:
		if s.Format == "date-time" {
			return exampleTime
		}
		return ""
	}
	return 0
}

func exampleObject(all huma.Registry, s *huma.Schema) map[string]any {
	object := map[string]any{}
	for name, p := range s.Properties {
		if slices.Contains(s.Required, name) || len(p.Examples) > 0 {
			object[name] = exampleOf(all, p)
		}
	}
	return object
}
