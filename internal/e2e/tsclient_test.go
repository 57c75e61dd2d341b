package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
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
	dir := filepath.Join(typescript(t), "test")
	for name, options := range map[string]string{
		"by the node that is here":          "",
		"with nothing that Node 18 has not": "--import=" + filepath.Join(dir, "node18.js"),
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, "ROOMCAST_INSECURE_WEBHOOKS=true")
			c := m.credentials()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", "--test", "--test-reporter=tap", filepath.Join(dir, "client.test.js"))
			cmd.Env = append(os.Environ(), "ROOMCAST_URL=http://"+m.http, "ROOMCAST_LOSSY_URL="+forgetful(t, m, 2).URL,
				"ROOMCAST_API_KEY="+c.APIKey, "ROOMCAST_API_SECRET="+c.APISecret, "NODE_OPTIONS="+options)
			out, err := cmd.CombinedOutput()
			if passed := regexp.MustCompile(`(?m)^# pass (\d+)$`).FindSubmatch(out); err != nil || passed == nil || string(passed[1]) == "0" {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

// Whoever watches sees what the TypeScript client does: a show begins, gets
// another title, and ends.
func TestTheWatchPageShowsWhatTheTypeScriptClientDoes(t *testing.T) {
	m := newMachine(t)
	c := m.credentials()
	dir := typescript(t)
	said := liveByExample(t, m, "ada", "node", filepath.Join(dir, "examples", "go-live.js"), "http://"+m.http, c.APIKey, c.APISecret, "ada")
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

	show := func(want string, do ...string) {
		t.Helper()
		args := append([]string{filepath.Join(dir, "test", "show.js"), "http://" + m.http, c.APIKey, c.APISecret, room[1]}, do...)
		if out, err := exec.CommandContext(t.Context(), "node", args...).CombinedOutput(); err != nil || string(out) != want+"\n" {
			t.Fatalf("%v: %v\n%s", do, err, out)
		}
	}
	show("LIVE 두 번째 밤", "rename", "두 번째 밤")
	eventually(t, 20*time.Second, "viewers see the title", func() error {
		var title string
		if err := page.Eval(t.Context(), `document.getElementById("title").textContent`, &title); err != nil || title != "두 번째 밤" {
			return fmt.Errorf("%q, %w", title, err)
		}
		return nil
	})
	show("ENDED 두 번째 밤", "end")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if report, err := page.Await(ctx, func(r *browser.Report) bool { return strings.HasSuffix(r.State, " ended") }); err != nil {
		t.Errorf("viewers do not see that the show is over: %v\n%v", err, report)
	}
}
