package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/roomcast/roomcast/internal/telemetry"
)

func TestLinesCarryWhatTheContextKnows(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(telemetry.NewHandler(&b, slog.LevelInfo)).With("worker", "w")
	ctx := telemetry.With(context.Background(), slog.String(telemetry.Request, "req_1"))
	inner := telemetry.With(ctx, slog.String(telemetry.Room, "room_1"))
	_ = telemetry.With(ctx, slog.String(telemetry.Room, "room_2")) // a sibling's, not ours
	log.InfoContext(inner, "hello", telemetry.Request, "req_1", "took", 1500250*time.Microsecond)
	if n := strings.Count(b.String(), `"request"`); n != 1 {
		t.Errorf("the request is said %d times: %s", n, b.String())
	}
	log.DebugContext(inner, "not at this level")
	var line map[string]any
	if err := json.Unmarshal(b.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, b.String())
	}
	if line["took_ms"] != 1500.25 {
		t.Errorf("it took %v ms: %s", line["took_ms"], b.String())
	}
	for k, want := range map[string]string{"msg": "hello", "request": "req_1", "room": "room_1", "worker": "w", "level": "INFO"} {
		if line[k] != want {
			t.Errorf("%s is %v, want %s", k, line[k], want)
		}
	}
}

func TestMetricsAreEmbeddedInOneLineOfTheLog(t *testing.T) {
	var b bytes.Buffer
	at := time.UnixMilli(1_700_000_000_123)
	err := telemetry.WriteEMF(&b, at, "stack", "blue", []telemetry.Metric{
		{Name: "Publishers", Unit: "Count", Value: 3, ByColour: true}, {Name: "Viewers", Unit: "Count", Value: 0},
	})
	if err != nil || bytes.Count(b.Bytes(), []byte("\n")) != 1 {
		t.Fatalf("%v: %q", err, b.String())
	}
	var line struct {
		AWS struct {
			Timestamp         int64
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			}
		} `json:"_aws"`
		Stack, Colour       string
		Publishers, Viewers *float64
	}
	if err := json.Unmarshal(b.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	d := line.AWS.CloudWatchMetrics
	if line.AWS.Timestamp != at.UnixMilli() || len(d) != 2 || len(d[0].Metrics) != 1 || len(d[1].Metrics) != 1 ||
		!slices.Equal(d[0].Dimensions[0], []string{"Stack"}) || !slices.Equal(d[1].Dimensions[0], []string{"Stack", "Colour"}) || d[0].Namespace != "roomcast" {
		t.Errorf("%+v", line)
	}
	if line.Stack != "stack" || line.Colour != "blue" || line.Publishers == nil || *line.Publishers != 3 || line.Viewers == nil {
		t.Errorf("a dimension or value is missing: %s", b.String())
	}
}

func TestLinesOfAnInvocationCarryItsRequest(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(telemetry.NewTextHandler(&b))
	ctx := lambdacontext.NewContext(context.Background(), &lambdacontext.LambdaContext{AwsRequestID: "aws-1"})
	log.InfoContext(telemetry.Invoked(ctx), "hello")
	log.InfoContext(telemetry.Invoked(context.Background()), "nobody's")
	if lines := strings.Split(b.String(), "\n"); !strings.Contains(lines[0], "request=aws-1") || strings.Contains(lines[1], "request") {
		t.Errorf("%q", lines)
	}
}
