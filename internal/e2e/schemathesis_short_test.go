//go:build !long

package e2e

// schemathesisArgs: the edges of every field, and a few chains of calls; the
// same ones at every run. The build with tag long has more.
func schemathesisArgs() []string {
	return []string{"--phases", "coverage,stateful", "--max-examples", "5", "--max-time", "30", "--generation-deterministic", "--no-shrink"}
}
