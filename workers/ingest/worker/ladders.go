package worker

import (
	"context"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/internal/ladder"
)

// CapacityPerCore is how many streams a core takes that are published as they
// come (docs/bench/ingest.md).
const CapacityPerCore = 400

// WithLadders adds what live profiles need: profiles from r, renditions by
// tool. Without an ffmpeg that can encode, streams pass as they come, with a
// warning on the key.
func (o Options) WithLadders(r control.ProfileReader, tool *ffmpeg.Tool) Options {
	if live := tool.Live(); live != nil {
		o.Encoder = live
	}
	o.Profiles = func(ctx context.Context, id broadcast.ProfileID) (ladder.Profile, error) {
		p, err := control.ResolveProfile(ctx, r, id, 0)
		if err != nil || p.Content.Passthrough() {
			return ladder.Profile{SegmentSeconds: p.Content.SegmentSeconds}, err
		}
		return p.Content.Ladder(), nil
	}
	return o
}
