//go:build !long

package e2e

// mutations is how many connections the mutation publishers make; the build
// with tag long has more.
const mutations = 2000
