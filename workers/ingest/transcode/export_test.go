package transcode

// Idle is true when the goroutine has taken everything that came.
func (l *Ladder) Idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.events) == 0 && !l.busy
}
