package rtmpin

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	pingRequest  = 6 // user control event types (7.1.7)
	pingResponse = 7
)

// message deals with a complete message. Only what lal has to answer is
// forwarded to it.
func (g *guard) message(m *chunkStream) error {
	switch m.typ {
	case uint8(TypeAudio), uint8(TypeVideo):
		g.deliver(m)
		return nil
	case typeSetChunkSize, typeAck, typePeerBandwidth: // the first is applied and forwarded by the parser
		return nil
	case typeAbort:
		return g.abort(binary.BigEndian.Uint32(m.body))
	case typeWindowAckSize:
		g.window = binary.BigEndian.Uint32(m.body)
		return nil
	case typeUserControl:
		return g.userControl(m.body)
	case uint8(TypeData):
		return g.data(m)
	case typeCommandAMF3: // an AMF0 command behind a format byte
		if m.body[0] != 0 {
			return errors.New("command in AMF3")
		}
		return g.command(m, m.body[1:])
	default:
		return g.command(m, m.body)
	}
}

// abort drops an unfinished message (5.4.2).
func (g *guard) abort(id uint32) error {
	cs := g.parse.streams[int(id)]
	if cs == nil || !cs.begun {
		return nil
	}
	g.parse.begun--
	g.parse.unfinished -= cs.length
	cs.begun, cs.got, cs.body = false, 0, nil
	return nil
}

// userControl answers a ping (7.1.7); all else is for players.
func (g *guard) userControl(body []byte) error {
	if binary.BigEndian.Uint16(body) != pingRequest {
		return nil
	}
	if len(body) < 6 {
		return errors.New("ping without a timestamp")
	}
	answer := []byte{0, pingResponse, body[2], body[3], body[4], body[5]}
	if _, err := g.Write(controlMessage(typeUserControl, answer)); err != nil {
		return fmt.Errorf("answer a ping: %w", err)
	}
	return nil
}

// acknowledge tells the peer what was received, each half window (5.4.3).
func (g *guard) acknowledge() error {
	const leastWindow = 64 << 10 // a tiny window is no reason to write at every read
	if g.window == 0 || g.received-g.acked < uint64(max(g.window, leastWindow)/2) {
		return nil
	}
	g.acked = g.received
	body := binary.BigEndian.AppendUint32(nil, uint32(g.received)) //nolint:gosec // the sequence number wraps
	_, err := g.Write(controlMessage(typeAck, body))
	return err
}

// data hands a data message on that has a name.
func (g *guard) data(m *chunkStream) error {
	name, _, err := cutText(m.body[1:], 2)
	if m.body[0] != amfString || err != nil {
		return errors.New("data message without a name")
	}
	if string(name) == "|RtmpSampleAccess" {
		return nil
	}
	g.deliver(m)
	return nil
}

// command follows the life of a publisher: connect, createStream, publish, its end.
func (g *guard) command(m *chunkStream, body []byte) error {
	c, err := parseCommand(body)
	if err != nil {
		return err
	}
	switch c.Name {
	case "connect":
		if g.connected {
			return errors.New("second connect")
		}
		g.connected, g.app, g.software = true, c.App, c.FlashVer
		g.parse.forward(m)
	case "createStream":
		if !g.connected {
			return errors.New("createStream before connect")
		}
		if !g.asked {
			g.peerKnowsChunkSize()
			g.parse.forward(m)
		}
	case "publish":
		if err := g.mayAsk(c.Name); err != nil {
			return err
		}
		g.publish(m, publishRequest(g.app, c.Argument))
	case "play":
		if err := g.mayAsk(c.Name); err != nil {
			return err
		}
		g.play(c.Argument)
	case "deleteStream", "closeStream", "FCUnpublish":
		if g.parse.published {
			g.end(EndUnpublish, nil, nil)
		}
	}
	return nil
}

// mayAsk allows one publish or play per connection.
func (g *guard) mayAsk(what string) error {
	switch {
	case !g.connected:
		return errors.New(what + " before connect")
	case g.asked:
		return errors.New("second publish or play")
	}
	g.asked = true
	g.peerKnowsChunkSize()
	return nil
}

// peerKnowsChunkSize: lal's answer to connect, which is written by now, set it.
func (g *guard) peerKnowsChunkSize() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.chunkSize = 4096 // rtmp.LocalChunkSize
}
