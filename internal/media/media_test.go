package media_test

import (
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/media"
)

func TestRescaleRoundsToTheNearest(t *testing.T) {
	for _, c := range []struct {
		in       media.Ticks
		from, to uint32
		want     media.Ticks
	}{
		{1, 1000, 90000, 90},
		{1024, 48000, 90000, 1920},
		{1, 90000, 48000, 1},
		{1, 90000, 44100, 0},
		{-1, 90000, 48000, -1},
		{10_000_000_000_000, 90000, 48000, 5_333_333_333_333},
		{5, 7, 7, 5},
		{5, 0, 7, 5},
	} {
		if got := c.in.Rescale(c.from, c.to); got != c.want {
			t.Errorf("%d of %d in %d: %d, want %d", c.in, c.from, c.to, got, c.want)
		}
	}
}

func TestDurations(t *testing.T) {
	if got := media.Ticks(90_000*3600*24*30 + 45_000).Duration(90_000); got != 720*time.Hour+500*time.Millisecond {
		t.Error(got)
	}
	if got := media.TicksOf(720*time.Hour+500*time.Millisecond, 90_000); got != 90_000*3600*24*30+45_000 {
		t.Error(got)
	}
	if got := media.TicksOf(490*time.Millisecond, 90_000); got != 44_100 {
		t.Error(got)
	}
}

func TestSilenceExistsForEveryChannelConfiguration(t *testing.T) {
	for c := -1; c < 10; c++ {
		if got := media.SilentAAC(c); (got != nil) != (c >= 1 && c <= 7) {
			t.Errorf("configuration %d: %x", c, got)
		}
	}
}

func TestSilentConfigIsAnAudioSpecificConfig(t *testing.T) {
	for _, c := range []struct {
		rate, channels int
		want           string
	}{{48_000, 2, "\x11\x90"}, {44_100, 1, "\x12\x08"}, {16_000, 8, "\x14\x38"}} {
		got, ok := media.SilentConfig(c.rate, c.channels)
		if !ok || string(got.Record) != c.want || got.Timescale != uint32(c.rate) || got.Channels != c.channels {
			t.Errorf("%d Hz, %d channels: %x, %v", c.rate, c.channels, got.Record, ok)
		}
	}
	for _, c := range [][2]int{{47_000, 2}, {48_000, 0}, {48_000, 9}} {
		if _, ok := media.SilentConfig(c[0], c[1]); ok {
			t.Errorf("%d Hz, %d channels passed", c[0], c[1])
		}
	}
}
