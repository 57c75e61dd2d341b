package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// modulePath is this module's path; an import below it is one of ours.
const modulePath = "github.com/roomcast/roomcast"

// source is one Go file of the tree.
type source struct {
	path      string // relative to the root, slashes
	dir       string // path's folder: the package's place in the module
	lines     int
	generated bool
	syntax    *ast.File
	positions *token.FileSet
}

// imported is one import of a file.
type imported struct {
	path string // as written: "fmt", "github.com/…"
	ours string // path inside the module, "" when it is not one of ours
	line int
}

// load parses every Go file of the module in fsys. Folders that the go command
// ignores, other modules and installed npm packages are left out.
func load(fsys fs.FS) ([]source, error) {
	var files []source
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && outside(fsys, name) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		f, err := parse(fsys, name)
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the source tree: %w", err)
	}
	return files, nil
}

// outside tells whether a folder holds nothing of this module.
func outside(fsys fs.FS, dir string) bool {
	base := path.Base(dir)
	if base == "node_modules" || base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod"))
	return err == nil
}

func parse(fsys fs.FS, name string) (source, error) {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return source{}, fmt.Errorf("read %s: %w", name, err)
	}
	positions := token.NewFileSet()
	syntax, err := parser.ParseFile(positions, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return source{}, fmt.Errorf("parse %s: %w", name, err)
	}
	return source{
		path:      name,
		dir:       path.Dir(name),
		lines:     bytes.Count(text, []byte("\n")),
		generated: ast.IsGenerated(syntax),
		syntax:    syntax,
		positions: positions,
	}, nil
}

func (f source) imports() []imported {
	var list []imported
	for _, spec := range f.syntax.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has accepted it, so this does not happen
		}
		im := imported{path: name, line: f.line(spec)}
		if ours, ok := strings.CutPrefix(name, modulePath+"/"); ok {
			im.ours = ours
		}
		list = append(list, im)
	}
	return list
}

// localName is the name under which the file knows an imported package, "" if
// it does not import it.
func (f source) localName(pkg string) string {
	for _, spec := range f.syntax.Imports {
		if spec.Path.Value != strconv.Quote(pkg) {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(pkg)
	}
	return ""
}

func (f source) line(n ast.Node) int { return f.positions.Position(n.Pos()).Line }

func (f source) at(line int) string { return fmt.Sprintf("%s:%d", f.path, line) }

func (f source) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// isTestSupport is true for packages that exist for tests alone and are no part
// of the product.
func (f source) isTestSupport() bool { return isTestSupport(f.dir) }

func isTestSupport(dir string) bool {
	for _, support := range []string{
		"internal/e2e", "internal/sim", "internal/mediatest", "internal/archtest",
		"internal/store/storetest", "internal/queue/queuetest", "internal/objects/objectstest", "internal/localstacktest",
		"internal/lambdatest", "internal/infratest", "internal/awsretry/awsfault",
	} {
		if within(dir, support) {
			return true
		}
	}
	return false
}

// isMain is true for the files that wire a program together: everything of the
// command, and main.go of each function, worker and example.
func (f source) isMain() bool {
	if within(f.dir, "cmd") {
		return true
	}
	parts := strings.Split(f.path, "/")
	return len(parts) == 3 && slices.Contains([]string{"functions", "workers", "client"}, parts[0]) && parts[2] == "main.go"
}

// within tells whether dir is root or lies below it.
func within(dir, root string) bool {
	return dir == root || strings.HasPrefix(dir, root+"/")
}

func withinAny(dir string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return within(dir, root) })
}
