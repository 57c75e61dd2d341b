package main

import (
	"context"
	"runtime"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/internal/ladder"
	"github.com/roomcast/roomcast/workers/ingest/worker"
)

// capacityPerCore is how many streams a core takes that are published as they
// come (docs/bench/ingest.md).
const capacityPerCore = 400

// withLadders adds what live profiles need.
func (m *machine) withLadders(tool *ffmpeg.Tool, o worker.Options) worker.Options {
	if o.Capacity = m.settings.Capacity; o.Capacity == 0 {
		o.Capacity = capacityPerCore * runtime.NumCPU()
	}
	if live := tool.Live(); live != nil {
		o.Encoder = live
	}
	o.Profiles = func(ctx context.Context, id broadcast.ProfileID) (ladder.Profile, error) {
		p, err := control.ResolveProfile(ctx, m.backend.records, id, 0)
		if err != nil || p.Content.Passthrough() {
			return ladder.Profile{SegmentSeconds: p.Content.SegmentSeconds}, err
		}
		return p.Content.Ladder(), nil
	}
	return o
}
