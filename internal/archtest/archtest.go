// Package archtest reads the repository's source files and reports where they
// break the rules of its architecture: who may import whom, who may ask the
// clock or the environment, and what every package and decision record owes
// its reader. `go test ./internal/archtest` runs it over this repository.
//
// Nothing here builds or type-checks code, so it works on a tree that does not
// compile.
package archtest

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
)

// Problem is one broken rule at one place.
type Problem struct {
	Where  string // path relative to the repository root, with a line where there is one
	Rule   string // short name of the rule, stable
	Reason string // what is wrong and why the rule exists
}

// String is the line that a failing test prints.
func (p Problem) String() string {
	return fmt.Sprintf("%s: %s: %s", p.Where, p.Rule, p.Reason)
}

// Check reads the repository in fsys, whose root holds go.mod, and returns
// every problem, ordered by place. The error is for a tree that cannot be read
// or holds a Go file that cannot be parsed.
func Check(fsys fs.FS) ([]Problem, error) {
	files, err := load(fsys)
	if err != nil {
		return nil, err
	}
	var problems []Problem
	for _, f := range files {
		problems = append(problems, checkImports(f)...)
		problems = append(problems, checkCalls(f)...)
		problems = append(problems, checkSize(f)...)
	}
	problems = append(problems, checkPackageComments(files)...)
	for _, check := range []func(fs.FS) ([]Problem, error){checkInfra, checkDecisions} {
		found, err := check(fsys)
		if err != nil {
			return nil, err
		}
		problems = append(problems, found...)
	}
	slices.SortFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Where, b.Where), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Reason, b.Reason))
	})
	return problems, nil
}
