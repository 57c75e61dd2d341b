//go:build long

package e2e

// mutations is how many connections the mutation publishers make, mutators how
// many they are: most of a connection's time is waiting.
const mutations, mutators = 100_000, 50
