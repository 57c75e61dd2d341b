package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/e2e/program"
)

// snippets are the fenced blocks of a page: those of bash as one script, the
// others as files with the names that they have.
func snippets(t *testing.T, page string) (script string, files map[string]string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/guide/" + page)
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	blocks := regexp.MustCompile("(?ms)^```(\\w+)(?: (\\S+))?\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(blocks)*2 != strings.Count(string(text), "```") {
		t.Fatalf("%s has a block that is neither bash nor a file", page)
	}
	for _, b := range blocks {
		switch {
		case b[1] == "bash" && b[2] == "":
			script += b[3]
		case b[1] != "bash" && b[2] != "":
			files[b[2]] = b[3]
		default:
			t.Fatalf("%s: what to do with this block of %s?\n%s", page, b[1], b[3])
		}
	}
	return script, files
}

// project has what a reader of the guide has: the program, and both clients, ts
// among them.
func project(t *testing.T, ts string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	modules := filepath.Join(dir, "node_modules")
	for _, d := range []string{filepath.Join(dir, "bin"), filepath.Join(modules, "@roomcast")} {
		if err := os.MkdirAll(d, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		filepath.Join(dir, "bin", "roomcast"):         binary,
		filepath.Join(modules, "@roomcast", "client"): ts,
		filepath.Join(modules, ".bin"):                filepath.Join(root, ".deps/npm/node_modules/.bin"),
		filepath.Join(modules, "typescript"):          filepath.Join(root, ".deps/npm/node_modules/typescript"),
		filepath.Join(modules, "@types"):              filepath.Join(root, ".deps/npm/node_modules/@types"),
	} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	own := strings.Replace(string(mod), "module github.com/roomcast/roomcast\n", "module example.com/show\n", 1) +
		"\nrequire github.com/roomcast/roomcast v0.0.0\nreplace github.com/roomcast/roomcast => " + root + "\n"
	for name, content := range map[string]string{"go.mod": own, "go.sum": string(sum)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The guide is done as it is written, each page on a roomcast of its own.
func TestEveryLineOfTheGuideRuns(t *testing.T) {
	start, _ := snippets(t, "README.md")
	pages := map[string]string{ // and what must have come of it
		"curl.md": `(?s)#EXTM3U.*watch it: .*#EXTM3U.*transition.*ENDED.*video_room.live\t`, "go.md": ` is live: http`, "typescript.md": ` is live: http`,
		"webhooks.md": `(?s)received test.*received video_room.cancelled.*received test.*video_room.created\t`, "production.md": `(?s)shop.*ada.*(?i)ratelimit.*14400.*ada`,
	}
	written, err := filepath.Glob("../../docs/guide/*.md")
	if err != nil || len(written) != len(pages)+1 {
		t.Fatalf("the guide has pages that this test does not know: %v %v", written, err)
	}
	ts := filepath.Dir(typescript(t))
	for page, want := range pages {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			script, files := snippets(t, page)
			dir := project(t, ts)
			places := strings.NewReplacer("127.0.0.1:8080", freeAddress(t), "127.0.0.1:3000", freeAddress(t), "3001", strings.TrimPrefix(freeAddress(t), "127.0.0.1:"))
			for name, content := range files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(places.Replace(content)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", places.Replace("cd "+dir+"\n"+start+script))
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it leaves running ends with it
			cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
			cmd.WaitDelay = time.Second
			cmd.Env = append(os.Environ(), "ROOMCAST_HTTP="+places.Replace("127.0.0.1:8080"), "ROOMCAST_RTMP="+freeAddress(t), "GOFLAGS=-mod=mod")
			var out program.Output
			cmd.Stdout, cmd.Stderr = &out, &out
			err := cmd.Start()
			if err == nil {
				t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
				err = cmd.Wait()
			}
			if err != nil && !errors.Is(err, exec.ErrWaitDelay) || !regexp.MustCompile(want).MatchString(out.String()) {
				log, _ := os.ReadFile(filepath.Join(dir, "roomcast.log"))
				t.Errorf("%v\n%s\nroomcast said:\n%s", err, out.String(), log)
			}
		})
	}
}
