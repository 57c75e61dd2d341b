//go:build long

package main

// crowd is how many rooms are made while a reader goes through the list.
const crowd = 1000
