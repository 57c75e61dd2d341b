//go:build race

package sim_test

// seeds: the race detector makes a history 20 times as slow and finds nothing
// in a loop that has one thread.
const seeds = 20
