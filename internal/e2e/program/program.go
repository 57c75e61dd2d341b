// Package program builds the program that end-to-end tests run.
package program

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Main is a TestMain: it builds roomcast, puts its path into path, runs the
// tests, and ends the process. Their folder lies at depth folders below the
// root of the repository.
func Main(m *testing.M, path *string, depth int) {
	dir, err := os.MkdirTemp("", "roomcast-e2e-")
	if err == nil {
		*path = filepath.Join(dir, "roomcast")
		build := exec.Command("go", "build", "-o", *path, "./cmd/roomcast") // #nosec G204 -- a path of ours
		for range depth {
			build.Dir = filepath.Join(build.Dir, "..")
		}
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stdout, build.Stderr = os.Stdout, os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build roomcast:", err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// Output collects what a process prints. Safe for concurrent use.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
