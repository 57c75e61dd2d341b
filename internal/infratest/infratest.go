// Package infratest reads the templates of infra/ as data, so that tests can
// hold them against the code: every reference, environment, permission and
// alarm. Tests only.
package infratest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Template is one CloudFormation template. Functions of CloudFormation are
// maps of one entry, in their long form: !Ref X is {"Ref": "X"}.
type Template struct {
	Name string
	Root map[string]any
}

// Root is the repository's.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Load reads template.yaml and all of infra/, by their names without ".yaml".
func Load() (map[string]Template, error) {
	files, err := filepath.Glob(filepath.Join(Root(), "infra", "*.yaml"))
	if err != nil {
		return nil, err
	}
	all := map[string]Template{}
	for _, file := range append(files, filepath.Join(Root(), "template.yaml")) {
		b, err := os.ReadFile(file) // #nosec G304 -- a file of this repository
		if err != nil {
			return nil, err
		}
		t, err := Parse(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		t.Name = strings.TrimSuffix(filepath.Base(file), ".yaml")
		all[t.Name] = t
	}
	return all, nil
}

// Parse reads one template.
func Parse(text []byte) (Template, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return Template{}, err
	}
	v, err := value(doc.Content[0])
	if err != nil {
		return Template{}, err
	}
	root, ok := v.(map[string]any)
	if !ok {
		return Template{}, fmt.Errorf("line %d: not a map", doc.Content[0].Line)
	}
	return Template{Root: root}, nil
}

func value(n *yaml.Node) (any, error) {
	if n.Anchor != "" || n.Kind == yaml.AliasNode {
		return nil, fmt.Errorf("line %d: CloudFormation knows no anchors", n.Line)
	}
	v, err := plain(n)
	if err != nil || !strings.HasPrefix(n.Tag, "!") || strings.HasPrefix(n.Tag, "!!") {
		return v, err
	}
	name := strings.TrimPrefix(n.Tag, "!")
	switch name {
	case "Ref", "Condition":
		return map[string]any{name: v}, nil
	case "GetAtt":
		if s, ok := v.(string); ok {
			resource, attribute, _ := strings.Cut(s, ".")
			return map[string]any{"Fn::GetAtt": []any{resource, attribute}}, nil
		}
	}
	return map[string]any{"Fn::" + name: v}, nil
}

func plain(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			if _, twice := m[n.Content[i].Value]; twice {
				return nil, fmt.Errorf("line %d: %s is there twice", n.Content[i].Line, n.Content[i].Value)
			}
			v, err := value(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			m[n.Content[i].Value] = v
		}
		return m, nil
	case yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			v, err := value(c)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	default:
		return n.Value, nil
	}
}

// Section is the map under a name of the top level; nil = there is none.
func (t Template) Section(name string) map[string]any { return Map(t.Root[name]) }

// Of are the resources of a type, with their properties.
func (t Template) Of(kind string) map[string]map[string]any {
	found := map[string]map[string]any{}
	for id, r := range t.Section("Resources") {
		if Map(r)["Type"] == kind {
			found[id] = Map(Map(r)["Properties"])
		}
	}
	return found
}

// Map is v as a map, an empty one where it is none.
func Map(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// List is v as a list; a single value is a list of one.
func List(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

// Walk calls visit for every value under v, outermost first.
func Walk(v any, visit func(any)) {
	visit(v)
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			Walk(e, visit)
		}
	case []any:
		for _, e := range v {
			Walk(e, visit)
		}
	}
}
