//go:build !long

package main

// crowd is how many rooms are made while a reader goes through the list; the
// build with tag long makes 1,000.
const crowd = 120
