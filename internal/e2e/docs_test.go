package e2e

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestTheDocsPageCallsTheAPIAndNobodyElse(t *testing.T) {
	m := newMachine(t)
	c := m.credentials()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "docs.mjs", "http://"+m.http)
	cmd.Dir = "browser"
	cmd.Env = append(os.Environ(), "API_KEY="+c.APIKey, "API_SECRET="+c.APISecret)
	out, err := cmd.CombinedOutput()
	said := string(out)
	for _, want := range []string{
		"POST /v2/apps/me/members\n201 Created", "GET /v2/apps/me/members/user-42\n200 OK", `"appUserName": "Kim"`,
		"GET /v2/apps/me/video-rooms/room_none\n404 Not Found", "VIDEO_ROOM_NOT_FOUND",
	} {
		if err != nil || !strings.Contains(said, want) {
			t.Fatalf("%v: %q is missing in\n%s", err, want, said)
		}
	}
}
