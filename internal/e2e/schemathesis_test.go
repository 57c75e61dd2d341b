package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// schemathesis asks what the document allows, and much that it forbids, one
// call after the other and in chains: no answer may be a server error, or other
// than the document says.
func TestEveryAnswerIsAsTheDocumentSays(t *testing.T) {
	m := newMachine(t, "ROOMCAST_RATE_PER_APP=0", "ROOMCAST_RATE_PER_ADDRESS=0")
	c := m.credentials()
	var login struct{ Token string }
	m.call("POST", "/v2/apps/me/members/login", map[string]string{"appUserId": "kim"}, &login)

	program, err := filepath.Abs("../../.deps/schemathesis/bin/schemathesis")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() // it leaves files where it runs
	if err := os.CopyFS(dir, os.DirFS("testdata/schemathesis")); err != nil {
		t.Fatal(err)
	}
	args := append([]string{
		"run", "http://" + m.http + "/openapi.json", "--checks", "all", "--continue-on-failure",
		"--request-timeout", "60", "--max-response-time", "60", "--warnings", "off", "--suppress-health-check", "all",
	}, schemathesisArgs()...)
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(),
		"API_KEY="+c.APIKey, "API_SECRET="+c.APISecret, "OPERATOR_TOKEN="+c.OperatorToken,
		"MEMBER=kim", "MEMBER_TOKEN="+login.Token, "PYTHONUNBUFFERED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n`scripts/schemathesis install` installs it", err, out)
	} else {
		t.Logf("%s", out)
	}
}
