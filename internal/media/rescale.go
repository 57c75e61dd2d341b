package media

import "time"

// Rescale counts t, given in ticks of from Hz, in ticks of to Hz, rounded to
// the nearest. Good for 10^13 ticks, which is more than three years at 90 kHz.
func (t Ticks) Rescale(from, to uint32) Ticks {
	if from == to || from == 0 {
		return t
	}
	half := Ticks(from / 2)
	if t < 0 {
		half = -half
	}
	return (t*Ticks(to) + half) / Ticks(from)
}

// Duration is t in ticks of timescale Hz as a time.Duration, rounded down to
// the nanosecond.
func (t Ticks) Duration(timescale uint32) time.Duration {
	if timescale == 0 {
		return 0
	}
	seconds, rest := t/Ticks(timescale), t%Ticks(timescale)
	return time.Duration(seconds)*time.Second + time.Duration(rest)*time.Second/time.Duration(timescale)
}

// TicksOf counts d in ticks of timescale Hz, rounded to the nearest.
func TicksOf(d time.Duration, timescale uint32) Ticks {
	return Ticks(d/time.Second)*Ticks(timescale) +
		Ticks(d%time.Second).Rescale(uint32(time.Second), timescale)
}
