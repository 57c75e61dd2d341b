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

// template ties the folders under one root to the resources of one template.
type template struct {
	root     string         // "functions" or "workers"
	file     string         // the nested stack that declares them
	resource string         // the resource type that stands for one folder
	suffix   *regexp.Regexp // what a logical id may have after the folder's name
	optional bool           // folders may come before the template
}

func templates() []template {
	return []template{
		{
			root: "functions", file: "infra/functions.yaml",
			resource: "AWS::Serverless::Function", suffix: regexp.MustCompile(`(?i)(function)?$`),
		},
		{
			root: "workers", file: "infra/workers.yaml", optional: true,
			resource: "AWS::ECS::TaskDefinition", suffix: regexp.MustCompile(`(?i)(blue|green)?(task(definition)?)?$`),
		},
	}
}

// checkInfra is rule 8: every folder directly under functions/ and workers/ has
// its resource of the same name in infra/, and the other way round.
func checkInfra(fsys fs.FS) ([]Problem, error) {
	var problems []Problem
	for _, t := range templates() {
		folders, err := foldersOf(fsys, t.root)
		if err != nil {
			return nil, err
		}
		text, err := fs.ReadFile(fsys, t.file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read %s: %w", t.file, err)
		}
		if err != nil && t.optional {
			continue
		}
		resources := resourcesOf(string(text), t)
		for _, name := range folders {
			if !resources[name] {
				problems = append(problems, Problem{
					Where: path.Join(t.root, name), Rule: "rule 8",
					Reason: fmt.Sprintf("has no %s of its name in %s, so it would never be deployed", t.resource, t.file),
				})
			}
			delete(resources, name)
		}
		for _, name := range slices.Sorted(maps.Keys(resources)) {
			problems = append(problems, Problem{
				Where: t.file, Rule: "rule 8",
				Reason: fmt.Sprintf("declares %q, but there is no folder %s/%s", name, t.root, name),
			})
		}
	}
	return problems, nil
}

func foldersOf(fsys fs.FS, root string) ([]string, error) {
	entries, err := fs.ReadDir(fsys, root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", root, err)
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

var (
	logicalID    = regexp.MustCompile(`^  ([A-Za-z0-9]+):\s*(#.*)?$`)
	resourceType = regexp.MustCompile(`^    Type:\s*["']?([A-Za-z0-9:]+)`)
)

// resourcesOf reads the names of a template's resources of one type, in the
// two-space layout that these templates are kept in.
func resourcesOf(text string, t template) map[string]bool {
	names := map[string]bool{}
	inResources, id := false, ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line != "" && line[0] != ' ' && line[0] != '#' {
			inResources = strings.HasPrefix(line, "Resources:")
		}
		if !inResources {
			continue
		}
		if m := logicalID.FindStringSubmatch(line); m != nil {
			id = m[1]
		}
		if m := resourceType.FindStringSubmatch(line); m != nil && m[1] == t.resource {
			names[strings.ToLower(t.suffix.ReplaceAllString(id, ""))] = true
		}
	}
	return names
}
