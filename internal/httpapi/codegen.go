package httpapi

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// clientEnums are the enums that get a type of their own in the Go client,
// each by a field that has it; the same values elsewhere are the same type.
// Every other enum is a string there.
func clientEnums() map[string][2]string {
	return map[string][2]string{
		"VideoRoomState": {"VideoRoom", "videoRoomState"},
		"VODState":       {"VideoRoom", "vodState"},
		"EndReason":      {"VideoRoom", "endReason"},
		"StreamKeyState": {"StreamKey", "streamKeyState"},
		"OutputMode":     {"StreamKey", "outputMode"},
		"VideoPostState": {"VideoPost", "videoPostState"},
	}
}

// ClientOpenAPI is the document that the Go client is generated from: that of
// OpenAPI without what its hand-written half does for all operations alike
// (errors, headers, bodies that say nothing), and with the Go types of enums
// and of the fields of merge patches.
func ClientOpenAPI() ([]byte, error) {
	doc := newAPI(Options{}).huma.OpenAPI()
	schemas := doc.Components.Schemas
	doc.Components.Examples = nil
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Patch, item.Delete} {
			if op != nil {
				forClient(op)
			}
		}
		if item.Patch != nil {
			ref := item.Patch.RequestBody.Content[typeJSON].Schema.Ref
			patchFields(schemas.SchemaFromRef(ref))
		}
	}
	for _, s := range schemas.Map() {
		pointers(schemas, s)
	}
	nameEnums(doc)
	text, err := doc.YAML()
	if err != nil {
		return nil, fmt.Errorf("write openapi document of the clients: %w", err)
	}
	return text, nil
}

func forClient(op *huma.Operation) {
	op.Parameters = slices.DeleteFunc(op.Parameters, func(p *huma.Param) bool { return p.In == "header" })
	for status, r := range op.Responses {
		if status >= strconv.Itoa(400) {
			delete(op.Responses, status)
		}
		r.Headers = nil
		for _, m := range r.Content {
			m.Examples = nil
		}
	}
	if op.RequestBody == nil {
		return
	}
	delete(op.RequestBody.Content, typeMergePatch)
	body := op.RequestBody.Content[typeJSON]
	body.Examples = nil
	if strings.HasSuffix(body.Schema.Ref, "/Empty") {
		op.RequestBody = nil
	}
}

// patchFields makes each field absent, null or a value (RFC 7396).
func patchFields(s *huma.Schema) {
	for _, p := range s.Properties {
		p.Extensions = map[string]any{
			"x-go-type":                       "nullable.Nullable[" + goType(p) + "]",
			"x-go-type-import":                map[string]any{"path": "github.com/oapi-codegen/nullable"},
			"x-go-type-skip-optional-pointer": true,
		}
	}
}

// pointers makes an object that may be missing a pointer: unlike a string or a
// time it has no zero value that says so.
func pointers(all huma.Registry, s *huma.Schema) {
	for name, p := range s.Properties {
		if p.Ref != "" && (all.SchemaFromRef(p.Ref).Nullable || !slices.Contains(s.Required, name)) {
			s.Properties[name] = &huma.Schema{
				Description: p.Description, AllOf: []*huma.Schema{{Ref: p.Ref}},
				Extensions: map[string]any{"x-go-type": "*" + goType(p), "x-go-type-skip-optional-pointer": true},
			}
		}
	}
}

func goType(s *huma.Schema) string {
	if s.Ref != "" {
		return s.Ref[strings.LastIndex(s.Ref, "/")+1:]
	}
	switch s.Type {
	case huma.TypeString:
		if s.Format == "date-time" {
			return "time.Time"
		}
		return "string"
	case huma.TypeInteger:
		return "int64"
	case huma.TypeNumber:
		return "float64"
	case huma.TypeBoolean:
		return "bool"
	case huma.TypeArray:
		return "[]" + goType(s.Items)
	}
	if entry, ok := s.AdditionalProperties.(*huma.Schema); ok {
		of := goType(entry)
		if entry.Nullable {
			of = "*" + of
		}
		return "map[string]" + of
	}
	return "any"
}

func nameEnums(doc *huma.OpenAPI) {
	schemas := doc.Components.Schemas.Map()
	named := map[string]string{}
	for name, at := range clientEnums() {
		values := schemas[at[0]].Properties[at[1]].Enum
		if values[len(values)-1] == nil {
			values = values[:len(values)-1]
		}
		named[fmt.Sprint(values)] = name
		schemas[name] = &huma.Schema{Type: huma.TypeString, Enum: values}
	}
	replace := func(s *huma.Schema) {
		values := slices.DeleteFunc(slices.Clone(s.Enum), func(v any) bool { return v == nil })
		if len(values) == 0 {
			return
		}
		s.Enum = nil
		name, ok := named[fmt.Sprint(values)]
		if !ok {
			s.Description = strings.TrimPrefix(s.Description+". One of "+strings.Trim(fmt.Sprint(values), "[]"), ". ")
			return
		}
		if s.Extensions == nil {
			s.Extensions = map[string]any{"x-go-type": name}
			return
		}
		s.Extensions["x-go-type"] = strings.Replace(s.Extensions["x-go-type"].(string), "[string]", "["+name+"]", 1)
	}
	for _, s := range schemas {
		for _, p := range s.Properties {
			replace(p)
			if p.Items != nil {
				replace(p.Items)
			}
		}
	}
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			for _, p := range op.Parameters {
				replace(p.Schema)
			}
		}
	}
}
