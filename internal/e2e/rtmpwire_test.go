package e2e

import (
	"bytes"
	endian "encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// RTMP by hand, apart from our client and server: what attackers send.

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// header is a type 0 chunk header.
func header(id byte, ts, length uint32, kind byte, stream uint32) []byte {
	b := []byte{id, byte(ts >> 16), byte(ts >> 8), byte(ts), byte(length >> 16), byte(length >> 8), byte(length), kind}
	return endian.LittleEndian.AppendUint32(b, stream)
}

// message is one in chunks of 128 bytes.
func message(id, kind byte, stream uint32, body []byte) []byte {
	b := header(id, 0, uint32(len(body)), kind, stream)
	for n := 0; ; n += 128 {
		b = append(b, body[n:min(n+128, len(body))]...)
		if n+128 >= len(body) {
			return b
		}
		b = append(b, 0xc0|id)
	}
}

func amfText(s string) []byte { return append([]byte{2, byte(len(s) >> 8), byte(len(s))}, s...) }

func amfNumber(v byte) []byte { return []byte{0, 0x3f + v>>7, 0xf0 * min(v, 1), 0, 0, 0, 0, 0, 0} }

func amfCall(name string, more ...[]byte) []byte {
	return cat(amfText(name), amfNumber(1), cat(more...))
}

func amfConnect(app string) []byte {
	return amfCall("connect", []byte{3, 0, 3, 'a', 'p', 'p'}, amfText(app), []byte{0, 0, 9})
}

// opening is everything up to a publish of that key.
func opening(key string) []byte {
	return cat(message(3, 20, 0, amfConnect("live")), message(3, 20, 0, amfCall("createStream", []byte{5})),
		message(8, 20, 1, amfCall("publish", []byte{5}, amfText(key), amfText("live"))))
}

// shake dials from an address of 127/8 and does the handshake.
func shake(t testing.TB, address, from string) net.Conn {
	t.Helper()
	c := dialFrom(t, address, from)
	if c == nil {
		return nil
	}
	_, _ = c.Write(append([]byte{3}, make([]byte, 1536)...)) // the door may be closed
	answer := make([]byte, 1+2*1536)
	if _, err := io.ReadFull(c, answer); err != nil {
		_ = c.Close()
		return nil
	}
	_, _ = c.Write(answer[1:1537])
	return c
}

func dialFrom(t testing.TB, address, from string) net.Conn {
	t.Helper()
	d := net.Dialer{Timeout: 5 * time.Second}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err := d.Dial("tcp", address)
	if err != nil {
		return nil
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// fate sends bytes and waits until the server closes the connection; it answers
// what came back and whether it was closed within the time.
func fate(c net.Conn, within time.Duration, parts ...[]byte) (answer []byte, closed bool) {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for _, p := range parts {
			if _, err := c.Write(p); err != nil {
				return
			}
		}
	}()
	_ = c.SetDeadline(time.Now().Add(within))
	answer, err := io.ReadAll(c)
	_ = c.Close()
	<-sent
	timeout, isNet := err.(net.Error) //nolint:errorlint // straight from the socket
	return answer, !(isNet && timeout.Timeout())
}
