package broadcast

import (
	"fmt"
	"math"
)

// LastSeq is the sequence number of the event that is sent in the name of a
// dead worker: nothing of that session can be newer.
const LastSeq uint64 = math.MaxInt64

// event applies a worker's event, cumulatively and behind the fence
// (docs/states.md, "Events").
func (m *machine) event(e Event) {
	k := &m.out.Key
	if e.Phase == Refused {
		m.setError(e)
		return
	}
	if !k.Fence.Before(e.Fence()) {
		m.out.Stale = true
		return
	}
	if why := m.impossible(e); why != "" {
		m.forbid(k.State, why)
		return
	}
	if e.Epoch > k.Fence.Epoch {
		m.stop() // the older session's end, where its event was lost
	}
	k.Fence = e.Fence()
	m.touchKey()
	m.setError(e)
	before := k.State
	if !m.phase(e) {
		m.forbid(before, "phase "+string(e.Phase)+" is not possible from "+string(before))
	}
}

func (m *machine) forbid(s KeyState, why string) {
	m.out.Forbidden = &Refusal{Code: CodeEventForbidden, State: string(s), Message: why}
}

// impossible says why no worker of ours can have sent e; "" = it may be true.
// Such an event must not move the fence: an epoch of the far future would lock
// the key out for good.
func (m *machine) impossible(e Event) string {
	switch e.Phase {
	case Prep, Published:
		if !e.Mode.Valid() {
			return fmt.Sprintf("there is no mode %q", e.Mode)
		}
	case Stopped, Refused:
	default:
		return fmt.Sprintf("there is no phase %q", e.Phase)
	}
	if e.Epoch == 0 {
		return "nobody ever holds epoch 0"
	}
	if e.Epoch > m.out.Lease.Epoch {
		return fmt.Sprintf("epoch %d is ahead of the lease's, %d", e.Epoch, m.out.Lease.Epoch)
	}
	if e.Seq > LastSeq {
		return fmt.Sprintf("sequence number %d is past the last one", e.Seq)
	}
	return ""
}

func (m *machine) phase(e Event) bool {
	switch e.Phase {
	case Prep:
		return m.start(e.Mode)
	case Published:
		if !ingesting(m.out.Key.State) {
			m.start(e.Mode)
		}
		return m.moveKey(PublishStarted)
	case Stopped:
		m.stop()
		return true
	case Refused: // handled before
	}
	return false
}

func (m *machine) setError(e Event) {
	if e.Error == nil {
		return
	}
	m.out.Key.LastError = e.Error
	m.touchKey()
}

// start applies "ingest started". A carried room keeps its mode.
func (m *machine) start(mode Mode) bool {
	if !m.moveKey(IngestStarted) {
		return false
	}
	if !m.out.Key.State.Live() {
		m.out.Key.Mode = mode
	}
	return true
}

// stop applies the end of an ingest session, where there is one.
func (m *machine) stop() {
	k := &m.out.Key
	if !ingesting(k.State) {
		return
	}
	if !m.moveKey(PublishStopped) {
		m.moveKey(IngestStopped)
	}
	if k.State == KeyInactive {
		k.Mode = ""
	}
}

// ingesting reports whether a publisher is connected in this state.
func ingesting(s KeyState) bool {
	switch s {
	case KeyActivePrep, KeyActive, KeyActiveLive, KeyActiveLivePrep:
		return true
	case KeyInactive, KeyInactiveLive:
	}
	return false
}
