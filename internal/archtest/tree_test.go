package archtest

import (
	"os"
	"testing"
)

// root is the repository, seen from this package's folder.
const root = "../.."

func TestTheRepositoryKeepsItsRules(t *testing.T) {
	if _, err := os.Stat(root + "/go.mod"); err != nil {
		t.Fatalf("find the repository: %v", err)
	}
	problems, err := Check(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

// A walk that finds nothing finds no fault either.
func TestTheWalkSeesTheWholeModule(t *testing.T) {
	files, err := load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{
		"internal/archtest/archtest.go": false, "internal/archtest/tree_test.go": false,
		"internal/broadcast/tables.go": false, "workers/ingest/rtmpin/types.go": false,
	}
	for _, f := range files {
		if _, ok := want[f.path]; ok {
			want[f.path] = true
		}
		if f.dir == "internal/tools" || within(f.dir, "internal/e2e/browser/node_modules") {
			t.Errorf("%s is no part of the module", f.path)
		}
	}
	for name, seen := range want {
		if !seen {
			t.Errorf("%s was not read", name)
		}
	}
}
