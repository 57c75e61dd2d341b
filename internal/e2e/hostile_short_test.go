//go:build !long

package e2e

// mutations is how many connections of the mutation publisher there are; the
// build with tag long has more.
const mutations = 2000
