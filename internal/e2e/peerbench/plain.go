package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/e2e/freeport"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// plainLoop is the baseline: a program that writes each message, as an FLV tag,
// to each connection. It plays the source by itself.
func plainLoop(ctx context.Context, s settings, _ int) (*running, error) {
	dir, err := os.MkdirTemp(s.dir, "plain-")
	if err != nil {
		return nil, err
	}
	address, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd, err := core(ctx, dir, self, "-plain", address, "-source", filepath.Join(s.dir, "source.flv"))
	if err != nil {
		return nil, err
	}
	return &running{
		cmd: cmd, dir: dir, plain: address, live: atOnce, pids: func() []int { return family(cmd.Process.Pid) },
	}, listening(ctx, address)
}

// servePlain is that program.
func servePlain(ctx context.Context, address, source string) error {
	tags, err := readTags(source)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[conn] = true
			mu.Unlock()
		}
	}()
	begin, last := time.Now(), tags[len(tags)-1].TimestampMS+20
	for round := uint32(0); ctx.Err() == nil; round++ {
		for _, g := range tags {
			at := g.TimestampMS + round*last
			time.Sleep(time.Until(begin.Add(time.Duration(at) * time.Millisecond)))
			tag := asTag(g, at)
			mu.Lock()
			for conn := range conns {
				_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
				if _, err := conn.Write(tag); err != nil {
					_ = conn.Close()
					delete(conns, conn)
				}
			}
			mu.Unlock()
		}
	}
	return fmt.Errorf("serve %s: %w", address, ctx.Err())
}

func asTag(g rtmpout.Tag, at uint32) []byte {
	size := uint32(len(g.Payload)) //nolint:gosec // below 2^24
	out := binary.BigEndian.AppendUint32(make([]byte, 0, size+15), uint32(g.Type)<<24|size)
	out = binary.BigEndian.AppendUint32(out, at<<8|at>>24)
	out = append(append(out, 0, 0, 0), g.Payload...)
	return binary.BigEndian.AppendUint32(out, size+11)
}
