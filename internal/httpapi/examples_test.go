package httpapi

import (
	"encoding/json"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

// Spectral sees that every body has an example; this, that the example is one
// that the API itself could send or take, and says something everywhere.
func TestEveryExampleFitsItsSchemaAndHasNoEmptyText(t *testing.T) {
	doc := newAPI(Options{}).huma.OpenAPI()
	seen := map[string]bool{}
	check := func(mode huma.ValidateMode, content map[string]*huma.MediaType) {
		for _, m := range content {
			for name := range m.Examples {
				if seen[name] {
					continue
				}
				seen[name] = true
				text, err := json.Marshal(doc.Components.Examples[name].Value)
				if err != nil {
					t.Fatal(err)
				}
				var v any
				if err := json.Unmarshal(text, &v); err != nil {
					t.Fatal(err)
				}
				var res huma.ValidateResult
				huma.Validate(doc.Components.Schemas, m.Schema, huma.NewPathBuffer(nil, 0), mode, v, &res)
				for _, err := range res.Errors {
					t.Errorf("example %s does not fit: %v\n%s", name, err, text)
				}
				findEmpty(t, name, v)
			}
		}
	}
	for _, item := range doc.Paths {
		for _, op := range operationsOf(item) {
			if op.RequestBody != nil {
				check(huma.ModeWriteToServer, op.RequestBody.Content)
			}
			for _, r := range op.Responses {
				check(huma.ModeReadFromServer, r.Content)
			}
		}
	}
	if len(seen) < 60 {
		t.Errorf("%d examples", len(seen))
	}
}

func findEmpty(t *testing.T, path string, v any) {
	t.Helper()
	switch v := v.(type) {
	case string:
		if v == "" {
			t.Errorf("%s is an empty string: its field needs an example", path)
		}
	case []any:
		for _, e := range v {
			findEmpty(t, path+"[]", e)
		}
	case map[string]any:
		for name, e := range v {
			findEmpty(t, path+"."+name, e)
		}
	}
}
