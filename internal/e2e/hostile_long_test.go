//go:build long

package e2e

// mutations is how many connections the mutation publishers make.
const mutations = 100_000
