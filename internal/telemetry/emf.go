package telemetry

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Namespace is that of all metrics.
const Namespace = "roomcast"

// Metric is one value of one minute.
type Metric struct {
	Name string
	// Unit is CloudWatch's: Count, Bits/Second, ….
	Unit  string
	Value float64
	// ByColour makes it a metric of the colour, as scaling needs it, and not of
	// the whole stack: each one costs $0.30 a month.
	ByColour bool
}

// WriteEMF writes metrics as a line of the log that CloudWatch makes metrics
// of: CloudWatch's embedded metric format, without a scrape.
func WriteEMF(w io.Writer, at time.Time, stack, colour string, metrics []Metric) error {
	type name struct {
		Name string
		Unit string
	}
	type directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []name
	}
	all, coloured := directive{Namespace, [][]string{{"Stack"}}, []name{}}, directive{Namespace, [][]string{{"Stack", "Colour"}}, []name{}}
	line := map[string]any{"Stack": stack, "Colour": colour}
	for _, m := range metrics {
		line[m.Name] = m.Value
		to := &all
		if m.ByColour {
			to = &coloured
		}
		to.Metrics = append(to.Metrics, name{m.Name, m.Unit})
	}
	var directives []directive
	for _, d := range []directive{all, coloured} {
		if len(d.Metrics) > 0 {
			directives = append(directives, d)
		}
	}
	line["_aws"] = map[string]any{"Timestamp": at.UnixMilli(), "CloudWatchMetrics": directives}
	b, err := json.Marshal(line)
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}
