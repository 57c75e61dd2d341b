//go:build long

package e2e

// schemathesisArgs: everything that it can do, for ten minutes; what it finds
// can be had again with the seed that it prints.
func schemathesisArgs() []string {
	return []string{"--max-examples", "60", "--max-time", "600", "--generation-database", "none"}
}
