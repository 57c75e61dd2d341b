//go:build !long

package e2e

// mutations is how many connections the mutation publishers make, mutators how
// many they are; the build with tag long has more of both.
const mutations, mutators = 2000, 8
