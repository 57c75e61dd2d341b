//go:build long

package e2e

// mutations is how many connections of the mutation publisher there are.
const mutations = 100_000
