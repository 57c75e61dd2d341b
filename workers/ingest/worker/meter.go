package worker

import (
	"context"
	"io"
	"time"

	"github.com/roomcast/roomcast/internal/telemetry"
	"github.com/roomcast/roomcast/workers/ingest/drain"
)

// meterEvery is CloudWatch's resolution.
const meterEvery = time.Minute

// meter writes this worker's metrics each minute until ctx ends.
func (w *Worker) meter(ctx context.Context, out io.Writer, stack, colour string) {
	at, sent, counts := w.Now(), uint64(0), drain.Counts{}
	for w.Sleep(ctx, meterEvery) == nil {
		now, sentNow, countsNow := w.Now(), w.hub.SentBytes(), w.Gate.Counts()
		metrics := []telemetry.Metric{
			{Name: "Publishers", Unit: "Count", Value: float64(w.Gate.Publishers()), ByColour: true},
			{Name: "Viewers", Unit: "Count", Value: float64(w.Viewers())},
			{Name: "EgressBPS", Unit: "Bits/Second", Value: float64(8*(sentNow-sent)) / now.Sub(at).Seconds(), ByColour: true},
		}
		// A metric costs for each hour in which it has a value.
		count := func(name string, n uint64) {
			if n > 0 {
				metrics = append(metrics, telemetry.Metric{Name: name, Unit: "Count", Value: float64(n)})
			}
		}
		count("Publishes", countsNow.Granted-counts.Granted)
		count("PublishesRefused", countsNow.Refused-counts.Refused)
		count("PublishesFailed", countsNow.Failed-counts.Failed)
		err := telemetry.WriteEMF(out, now, stack, colour, metrics)
		if err != nil {
			w.Log.Warn("metrics are lost", "err", err)
		}
		at, sent, counts = now, sentNow, countsNow
	}
}
