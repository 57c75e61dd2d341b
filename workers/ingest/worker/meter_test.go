package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/roomcast/roomcast/internal/infratest"
	"github.com/roomcast/roomcast/workers/ingest/drain"
	"github.com/roomcast/roomcast/workers/ingest/hub"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

// answers is a handler that grants, refuses and fails in turn.
type answers struct{ n int }

type publisher struct{}

func (publisher) Message(rtmpin.Message) error { return nil }
func (publisher) End(rtmpin.EndCause, error)   {}

func (a *answers) Publish(context.Context, rtmpin.PublishRequest, rtmpin.Conn) (rtmpin.Publisher, error) {
	a.n++
	switch a.n % 3 {
	case 1:
		return publisher{}, nil
	case 2:
		return nil, &rtmpin.Reject{}
	}
	return nil, errors.New("the store is out")
}

// emitted are the metrics that a worker's log makes, with their dimensions, in
// a minute of the publishes and in one without.
func emitted(t *testing.T) (busy, idle map[string]bool) {
	t.Helper()
	now := time.Unix(1_700_000_000, 0)
	w := &Worker{Options: Options{Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}, Gate: drain.NewGate(&answers{})}
	w.hub = hub.New(hub.Options{Worker: "w", Now: w.Now, Sleep: func(context.Context, time.Duration) error { return nil }, Log: w.Log})
	defer w.hub.Close()
	minutes := 0
	w.Sleep = func(context.Context, time.Duration) error {
		if minutes++; minutes > 2 {
			return context.Canceled
		}
		now = now.Add(time.Minute)
		for range 6 - 6*(minutes-1) {
			_, _ = w.Gate.Publish(t.Context(), rtmpin.PublishRequest{}, nil)
		}
		return nil
	}
	var out bytes.Buffer
	w.meter(t.Context(), &out, "stack", "blue")
	found := []map[string]bool{}
	for line := range strings.Lines(out.String()) {
		var emf struct {
			AWS struct {
				CloudWatchMetrics []struct {
					Namespace  string
					Dimensions [][]string
					Metrics    []struct{ Name string }
				}
			} `json:"_aws"`
		}
		if err := json.Unmarshal([]byte(line), &emf); err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, d := range emf.AWS.CloudWatchMetrics {
			for _, m := range d.Metrics {
				names[d.Namespace+" "+m.Name+" "+strings.Join(d.Dimensions[0], ",")] = true
			}
		}
		found = append(found, names)
	}
	if len(found) != 2 {
		t.Fatalf("%d lines in two minutes", len(found))
	}
	return found[0], found[1]
}

var onDashboard = regexp.MustCompile(`\["roomcast", "(\w+)", ([^\]]+)\]`)

// wanted are the metrics of ours that alarms, scaling and the dashboard read,
// but for those that filters make of the log.
func wanted(t *testing.T) map[string]bool {
	t.Helper()
	all, err := infratest.Load()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, template := range all {
		infratest.Walk(template.Root, func(v any) {
			m := infratest.Map(v)
			if name, ok := m["MetricName"].(string); ok && m["Namespace"] == "roomcast" {
				var dimensions []string
				for _, d := range infratest.List(m["Dimensions"]) {
					dimensions = append(dimensions, fmt.Sprint(infratest.Map(d)["Name"]))
				}
				names["roomcast "+name+" "+strings.Join(dimensions, ",")] = true
			}
			if body, ok := infratest.Map(m["DashboardBody"])["Fn::Sub"].(string); ok {
				for _, found := range onDashboard.FindAllStringSubmatch(body, -1) {
					var dimensions []string
					for i, part := range strings.Split(found[2], ", ") {
						if i%2 == 0 {
							dimensions = append(dimensions, strings.Trim(part, `"`))
						}
					}
					names["roomcast "+found[1]+" "+strings.Join(dimensions, ",")] = true
				}
			}
		})
	}
	return names
}

func TestAlarmsScalingAndDashboardReadWhatIsEmittedAndNothingElseIs(t *testing.T) {
	busy, idle := emitted(t)
	if d := cmp.Diff(slices.Sorted(maps.Keys(wanted(t))), slices.Sorted(maps.Keys(busy))); d != "" {
		t.Errorf("infra (-) and the worker (+):\n%s", d)
	}
	if len(idle) != 3 {
		t.Errorf("a quiet minute has %v: each one costs", idle)
	}
}
