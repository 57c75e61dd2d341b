package archtest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxLines is where a file has become two things.
const maxLines = 400

// longFiles are the files that may be longer than maxLines, each with its reason.
func longFiles() map[string]string {
	return map[string]string{}
}

func checkSize(f source) []Problem {
	if f.isTest() || f.generated || f.lines <= maxLines || longFiles()[f.path] != "" {
		return nil
	}
	return []Problem{{Where: f.path, Rule: "file size", Reason: fmt.Sprintf("%d lines, more than %d: look for the second thing in it", f.lines, maxLines)}}
}

// checkPackageComments wants one comment per package: on a file of the product,
// or on a test file where the package has nothing else.
func checkPackageComments(files []source) []Problem {
	type pkg struct{ product, commented, commentedTest bool }
	packages := map[string]pkg{}
	for _, f := range files {
		p := packages[f.dir]
		documented := f.syntax.Doc != nil && strings.TrimSpace(f.syntax.Doc.Text()) != ""
		if f.isTest() {
			p.commentedTest = p.commentedTest || documented
		} else {
			p.product = true
			p.commented = p.commented || documented
		}
		packages[f.dir] = p
	}
	var problems []Problem
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		p := packages[dir]
		if p.commented || (!p.product && p.commentedTest) {
			continue
		}
		problems = append(problems, Problem{Where: dir, Rule: "package comment", Reason: "no file says what this package is for"})
	}
	return problems
}

var (
	decisionFile = regexp.MustCompile(`^[0-9]{4}-[a-z0-9-]+\.md$`)
	decisionLink = regexp.MustCompile(`\]\(([^)/]+\.md)\)`)
)

const decisions = "docs/adr"

// checkDecisions wants docs/adr/README.md to list every decision record once,
// and every record to have a number of its own. A tree without the folder is
// left alone.
func checkDecisions(fsys fs.FS) ([]Problem, error) {
	entries, err := fs.ReadDir(fsys, decisions)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list decision records: %w", err)
	}
	index, err := fs.ReadFile(fsys, path.Join(decisions, "README.md"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // without one, nothing is listed
		return nil, fmt.Errorf("read the index of decision records: %w", err)
	}
	listed := map[string]int{}
	for _, link := range decisionLink.FindAllStringSubmatch(string(index), -1) {
		if decisionFile.MatchString(link[1]) {
			listed[link[1]]++
		}
	}
	var problems []Problem
	report := func(name, reason string) {
		problems = append(problems, Problem{Where: path.Join(decisions, name), Rule: "decision index", Reason: reason})
	}
	numbers := map[string]string{}
	for _, entry := range entries {
		name := entry.Name()
		if name == "README.md" || name == "template.md" || path.Ext(name) != ".md" {
			continue
		}
		if !decisionFile.MatchString(name) {
			report(name, "a record is named NNNN-what-was-decided.md")
			continue
		}
		if other := numbers[name[:4]]; other != "" {
			report(name, "has the number of "+other)
		}
		numbers[name[:4]] = name
		if listed[name] != 1 {
			report(name, fmt.Sprintf("README.md lists it %d times instead of once", listed[name]))
		}
		delete(listed, name)
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		report("README.md", "lists "+name+", which does not exist")
	}
	return problems, nil
}
