//go:build !linux

package rtmpin

import "net"

// takesReserve knows no limits here.
func takesReserve(net.Conn) bool { return false }
