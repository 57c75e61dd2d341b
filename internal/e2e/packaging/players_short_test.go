//go:build !long

package packaging

// played are the sources that players play; the build with tag long has more.
var played = []string{"29.97 fps", "sample rate changes"}
