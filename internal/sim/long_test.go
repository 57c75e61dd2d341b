//go:build long

package sim_test

import "testing"

// A hundred thousand histories: `make sim`.
func TestAHundredThousandHistoriesKeepTheInvariants(t *testing.T) { many(t, 100_000) }
