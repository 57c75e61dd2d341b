//go:build long

package chaos

import "time"

// How long the chaos lasts, how many publish in it, and how often one machine
// is killed: `make test` has seconds for it, `make test-long` minutes.
const (
	chaosFor   = 10 * time.Minute
	publishers = 4
	longPause  = time.Minute // of a stopped process, at most
	kills      = 200
)
