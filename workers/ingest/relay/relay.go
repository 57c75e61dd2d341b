// Package relay pulls a stream from the worker that its publisher is on.
package relay

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

// Limits of what an origin may send: those of a publisher (rtmpin).
const (
	maxTagBytes  = 8 << 20
	maxDataBytes = 64 << 10
	headTimeout  = 5 * time.Second
	bufferBytes  = 64 << 10
)

// errOrigin: what came is no stream of ours.
var errOrigin = errors.New("the origin sends no FLV")

// Puller pulls. Safe for concurrent use.
type Puller struct {
	// Client makes the requests; it needs no timeout. TLS is its transport's.
	Client *http.Client
	// Secret is the installation's; never logged.
	Secret string
	// TLS makes the requests https.
	TLS bool
	// Path is where workers serve relays: flvout.RelayPath.
	Path string
}

// Pull reads the stream from the worker at address and puts message after
// message until ctx or the stream ends, or put fails. It never answers nil.
func (p *Puller) Pull(ctx context.Context, address, playID string, put func(rtmpin.Message) error) error {
	u := url.URL{Scheme: "http", Host: address, Path: p.Path + playID + ".flv"}
	if p.TLS {
		u.Scheme = "https"
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(headTimeout, cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("pull from %s: %w", address, err)
	}
	req.Header.Set("Authorization", "Bearer "+p.Secret)
	resp, err := p.Client.Do(req)
	late.Stop()
	if err != nil {
		return fmt.Errorf("pull from %s: %w", address, err)
	}
	defer func() { _ = resp.Body.Close() }() // was only read
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("pull from %s: %s", address, resp.Status)
	}
	return fmt.Errorf("pull from %s: %w", address, read(resp.Body, put))
}

// read takes tags apart until one is wrong:
//
//	"FLV" | 1 | flags | header size 9(4) | 0(4), then type(1) size(3) timestamp(3) its high byte(1) 0(3) | payload | 11 + size(4)
func read(body io.Reader, put func(rtmpin.Message) error) error {
	in := bufio.NewReaderSize(body, bufferBytes)
	var head [13]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return err
	}
	if string(head[:4]) != "FLV\x01" || binary.BigEndian.Uint32(head[5:]) != 9 {
		return errOrigin
	}
	for {
		m, err := tag(in)
		if err != nil {
			return err
		}
		if err := put(m); err != nil {
			return err
		}
	}
}

func tag(in *bufio.Reader) (rtmpin.Message, error) {
	var h [11]byte
	if _, err := io.ReadFull(in, h[:]); err != nil {
		return rtmpin.Message{}, err
	}
	m := rtmpin.Message{
		Type:        rtmpin.MessageType(h[0]),
		TimestampMS: uint32(h[4])<<16 | uint32(h[5])<<8 | uint32(h[6]) | uint32(h[7])<<24,
	}
	size := int(h[1])<<16 | int(h[2])<<8 | int(h[3])
	most := maxTagBytes
	switch m.Type {
	case rtmpin.TypeAudio, rtmpin.TypeVideo:
	case rtmpin.TypeData:
		most = maxDataBytes
	default:
		return m, fmt.Errorf("tag type %d: %w", h[0], errOrigin)
	}
	if size > most {
		return m, fmt.Errorf("tag of %d bytes: %w", size, errOrigin)
	}
	body := make([]byte, size+4)
	if _, err := io.ReadFull(in, body); err != nil {
		return m, fmt.Errorf("half a tag: %w", err)
	}
	if binary.BigEndian.Uint32(body[size:]) != uint32(size+11) { //nolint:gosec // 8 MiB at most
		return m, errOrigin
	}
	m.Payload = body[:size:size]
	return m, nil
}
