// Package freeport finds addresses for servers that a test starts as processes.
package freeport

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
)

// The ports lie below those that Linux gives to outgoing connections (32768 and
// up): none of the many connections of a test takes one before its server does.
const (
	lowest = 20_000
	span   = 12_000
)

var next atomic.Uint32 //nolint:gochecknoglobals // ports are the machine's

// Address is "127.0.0.1:PORT" where nobody listens. No two calls of a process
// answer the same one within 12,000; safe for concurrent use.
func Address() (string, error) {
	for range span {
		port := lowest + (uint32(os.Getpid())*61+next.Add(1))%span //nolint:gosec // a process's number is small and positive
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))
		ln, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		return address, ln.Close()
	}
	return "", fmt.Errorf("no free port from %d to %d", lowest, lowest+span-1)
}
