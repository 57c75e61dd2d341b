package transcode

import "github.com/roomcast/roomcast/internal/ladder"

// slotPixels is the picture whose encoding, at 30 pictures a second, costs
// about what packaging a stream costs: 0.25 % of a core
// (docs/bench/recording.md).
const slotPixels = 6144

// Slots is how many streams that pass as they come a profile's renditions
// weigh; 0 without renditions.
func Slots(p ladder.Profile) (n int) {
	for _, s := range p.Steps {
		n += max(s.ShortPixels*s.ShortPixels*16/9/slotPixels, 1)
	}
	return n
}
