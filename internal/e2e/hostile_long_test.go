//go:build long

package e2e

func init() { mutations = 100_000 } //nolint:gochecknoinits // the only difference between the builds
