package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/e2e/browser"
)

// typescript builds the TypeScript client, its tests and its example, as npm
// would, and answers where the latter lie.
func typescript(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ts")
	if err := os.CopyFS(dir, os.DirFS("../../clients/ts")); err != nil {
		t.Fatal(err)
	}
	modules, err := filepath.Abs("../../.deps/npm/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	for _, project := range []string{".", "test"} {
		tsc := exec.CommandContext(t.Context(), filepath.Join(modules, ".bin", "tsc"), "-p", project)
		tsc.Dir = dir
		if out, err := tsc.CombinedOutput(); err != nil {
			t.Fatalf("tsc -p %s: %v\n%s\n`make deps` installs it", project, err, out)
		}
	}
	return filepath.Join(dir, "dist-test")
}

func TestTheTypeScriptClient(t *testing.T) {
	m := newMachine(t, "ROOMCAST_INSECURE_WEBHOOKS=true")
	c := m.credentials()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--test", filepath.Join(typescript(t), "test"))
	cmd.Env = append(os.Environ(), "ROOMCAST_URL=http://"+m.http, "ROOMCAST_LOSSY_URL="+forgetful(t, m, 2).URL,
		"ROOMCAST_API_KEY="+c.APIKey, "ROOMCAST_API_SECRET="+c.APISecret)
	out, err := cmd.CombinedOutput()
	if passed := regexp.MustCompile(`(?m)^# pass (\d+)$`).FindSubmatch(out); err != nil || passed == nil || string(passed[1]) == "0" {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestTheTypeScriptExampleGoesLiveOnTheWatchPage(t *testing.T) {
	m := newMachine(t)
	c := m.credentials()
	said := liveByExample(t, m, "ada", "node", filepath.Join(typescript(t), "examples", "go-live.js"), "http://"+m.http, c.APIKey, c.APISecret, "ada")
	room := regexp.MustCompile(`(?m)^(room_\S+) is live: `).FindStringSubmatch(said)
	if room == nil {
		t.Fatalf("it said %q", said)
	}
	b, err := browser.Launch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	page, err := b.Open(t.Context(), browser.Options{Player: browser.OwnPage, URL: "http://" + m.http + "/watch/" + room[1]})
	if err != nil {
		t.Fatal(err)
	}
	plays(t, map[browser.Player]*browser.Page{browser.OwnPage: page}, 2, time.Minute)
}
