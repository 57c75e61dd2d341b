package broadcast

import "math"

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
	if e.Epoch > k.Fence.Epoch {
		m.stop() // the older session's end, where its event was lost
	}
	k.Fence = e.Fence()
	m.touchKey()
	m.setError(e)
	before := k.State
	if !m.phase(e) {
		m.out.Forbidden = &Refusal{
			Code:    CodeEventForbidden,
			State:   string(before),
			Message: "phase " + string(e.Phase) + " is not possible from " + string(before),
		}
	}
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
	case Refused:
		return true
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
