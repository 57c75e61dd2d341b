package infratest

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

var inSub = regexp.MustCompile(`\$\{([^!}]+)\}`)

// Value is a property as CloudFormation makes it, from what the names of the
// template stand for: "Ref" names as they are, attributes as "Name.Attribute".
// A parameter that is not given has its default. Unknown names are an error.
func (t Template) Value(v any, given map[string]string) (string, error) {
	look := func(name string) (string, error) {
		if s, ok := given[name]; ok {
			return s, nil
		}
		if s, ok := Map(t.Section("Parameters")[name])["Default"].(string); ok {
			return s, nil
		}
		return "", fmt.Errorf("infra/%s.yaml: nobody says what %s is", t.Name, name)
	}
	if s, ok := v.(string); ok {
		return s, nil
	}
	m := Map(v)
	if s, ok := m["Ref"].(string); ok {
		return look(s)
	}
	if l := List(m["Fn::GetAtt"]); len(l) == 2 {
		return look(fmt.Sprintf("%v.%v", l[0], l[1]))
	}
	if l := List(m["Fn::FindInMap"]); len(l) == 3 {
		key, err := t.Value(l[1], given)
		return fmt.Sprint(Map(Map(t.Section("Mappings")[fmt.Sprint(l[0])])[key])[fmt.Sprint(l[2])]), err
	}
	s, ok := m["Fn::Sub"].(string)
	if !ok {
		return "", fmt.Errorf("infra/%s.yaml: %v is none of Ref, GetAtt, FindInMap and Sub", t.Name, v)
	}
	var problem error
	return inSub.ReplaceAllStringFunc(s, func(ref string) string {
		value, err := look(ref[2 : len(ref)-1])
		if err != nil {
			problem = err
		}
		return value
	}), problem
}

// Rule is one statement of a role's policies.
type Rule struct {
	Deny               bool
	Actions, Resources []string
	// Keys are patterns of DynamoDB's leading keys; nil = any key. Any says
	// that one matching key is enough, else all have to match.
	Keys []string
	Any  bool
}

// Policy is what a role may do.
type Policy []Rule

// Policy reads the statements under policies, which may be any part of the
// template. Of conditions it knows those on leading keys; others it takes for
// fulfilled.
func (t Template) Policy(policies any, given map[string]string) (Policy, error) {
	var p Policy
	var problem error
	Walk(policies, func(v any) {
		m := Map(v)
		if m["Effect"] != "Allow" && m["Effect"] != "Deny" {
			return
		}
		r := Rule{Deny: m["Effect"] == "Deny"}
		for _, a := range List(m["Action"]) {
			r.Actions = append(r.Actions, fmt.Sprint(a))
		}
		for _, resource := range List(m["Resource"]) {
			s, err := t.Value(resource, given)
			if err != nil {
				problem = err
			}
			r.Resources = append(r.Resources, s)
		}
		for name, condition := range Map(m["Condition"]) {
			for _, k := range List(Map(condition)["dynamodb:LeadingKeys"]) {
				r.Keys, r.Any = append(r.Keys, fmt.Sprint(k)), strings.HasPrefix(name, "ForAnyValue")
			}
		}
		p = append(p, r)
	})
	return p, problem
}

// Allows says whether the role may take the action on the resource, with these
// leading keys, as IAM decides it: a statement allows, and none denies.
func (p Policy) Allows(action, resource string, keys []string) bool {
	allowed := false
	for _, r := range p {
		if !matches(r.Actions, action) || !matches(r.Resources, resource) || r.Keys != nil && !r.onKeys(keys) {
			continue
		}
		if r.Deny {
			return false
		}
		allowed = true
	}
	return allowed
}

func (r Rule) onKeys(keys []string) bool {
	n := 0
	for _, k := range keys {
		if matches(r.Keys, k) {
			n++
		}
	}
	if r.Any {
		return n > 0
	}
	return n == len(keys)
}

// matches knows IAM's *, which spans separators as well.
func matches(patterns []string, s string) bool {
	for _, p := range patterns {
		if ok, err := path.Match(strings.ReplaceAll(p, "/", "\x00"), strings.ReplaceAll(s, "/", "\x00")); err == nil && ok {
			return true
		}
	}
	return false
}
