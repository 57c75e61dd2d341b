// Package cost is the model of docs/cost.md: what an installation on AWS costs
// a month, by what it does. Pure; all prices are in prices.json.
package cost

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/roomcast/roomcast/internal/broadcast"
)

//go:embed prices.json
var priceFile []byte

// Prices are those of AWS's lists, in US dollars.
type Prices struct {
	AsOf   string `json:"asOf"`
	Region string `json:"region"`

	S3PutPerMillion     float64 `json:"s3PutPerMillion"`
	S3GetPerMillion     float64 `json:"s3GetPerMillion"`
	S3StoragePerGBMonth float64 `json:"s3StoragePerGBMonth"`

	CDNPerGB              float64 `json:"cdnPerGB"`
	CDNRequestsPerMillion float64 `json:"cdnRequestsPerMillion"`

	FargateVCPUHour float64 `json:"fargateVCPUHour"`
	FargateGBHour   float64 `json:"fargateGBHour"`
	PublicIPv4Hour  float64 `json:"publicIPv4Hour"`
	NLBHour         float64 `json:"nlbHour"`
	NLCUHour        float64 `json:"nlcuHour"`
	EgressPerGB     float64 `json:"egressPerGB"`

	DynamoWritesPerMillion float64 `json:"dynamoWritesPerMillion"`
	DynamoReadsPerMillion  float64 `json:"dynamoReadsPerMillion"`
	SQSFIFOPerMillion      float64 `json:"sqsFIFOPerMillion"`
	LambdaPerMillion       float64 `json:"lambdaPerMillion"`
	LambdaGBSecond         float64 `json:"lambdaGBSecond"`
	LogsPerGB              float64 `json:"logsPerGB"`
	MetricMonth            float64 `json:"metricMonth"`
	AlarmMonth             float64 `json:"alarmMonth"`
	SecretMonth            float64 `json:"secretMonth"`
	KeyMonth               float64 `json:"keyMonth"`
	// What every account has free for ever, each month.
	FreeMetrics         float64 `json:"freeMetrics"`
	FreeAlarms          float64 `json:"freeAlarms"`
	FreeLambdaGBSeconds float64 `json:"freeLambdaGBSeconds"`

	IVSBasicInputHour    float64 `json:"ivsBasicInputHour"`
	IVSStandardInputHour float64 `json:"ivsStandardInputHour"`
	IVSOutputSDHour      float64 `json:"ivsOutputSDHour"`
	IVSOutputHDHour      float64 `json:"ivsOutputHDHour"`
	IVSOutputFullHDHour  float64 `json:"ivsOutputFullHDHour"`
	// MediaLivePackageHour is an hour of encoding and packaging.
	MediaLivePackageHour float64 `json:"mediaLivePackageHour"`
}

// Listed are the prices that this version knows.
func Listed() (Prices, error) {
	var p Prices
	if err := json.Unmarshal(priceFile, &p); err != nil {
		return p, fmt.Errorf("prices.json: %w", err)
	}
	return p, nil
}

// What a passthrough stream of one video and one audio track does in an hour.
// A test measures these on a running worker, within 10 %.
const (
	// SegmentsPerHour are 2 s segments of one track.
	SegmentsPerHour = 1800
	// PutsPerSegment: two tracks' segments, their playlists, the MPD, and the
	// index of the recording now and then.
	PutsPerSegment = 5.1
	// RenewalsPerHour of the lease, one each 2 s; an item of WriteUnits KiB.
	RenewalsPerHour = 1800
	WriteUnits      = 1
	// LogBytesPerHour of a worker, for one stream.
	LogBytesPerHour = 8 << 10
)

// What a show does once, however long it lasts.
const (
	eventsPerShow       = 6  // and as many invocations of the consumer
	transactionsPerShow = 12 // of about 5 items, 2 units each
	unitsPerTransaction = 10
	lambdaMemoryGB      = 0.25
	consumerSeconds     = 0.1
)

// What goes on when nobody streams: the sweeper's passes, each 2 s for most
// of a minute, its Lambda, alarms, metrics, secrets.
const (
	hoursPerMonth    = 730
	sweepsPerHour    = 60 * 28
	readsPerSweep    = 9 // half a unit for each of 18 empty queries
	sweeperGB        = 0.25
	sweeperSeconds   = 54
	metrics, alarms  = 8, 8
	secrets, keys    = 3, 1
	workerVCPU       = 0.25
	workerGB         = 0.5
	zones            = 2
	idleLogGBMonth   = 0.1
	streamsPerWorker = 20 // of the smallest one
)

// Use is what an installation does in a month.
type Use struct {
	// Streams hours are published, each with as many Viewers on average; a
	// show lasts ShowHours, default 2.
	StreamHours float64
	Viewers     float64
	ShowHours   float64
	BitrateMbps float64
	Mode        broadcast.Mode
	// LowDelay is the share of viewers who watch over HTTP-FLV, where the mode
	// has it; default all in RTMP, none else.
	LowDelay float64
	// KeepDays is how long recordings are kept; default 30.
	KeepDays float64
}

// Line is one position of a bill.
type Line struct {
	Name    string
	Dollars float64
}

// Bill is what Use costs a month.
type Bill struct {
	// Idle is there without a stream; Stream grows with stream hours, Viewer
	// with viewer hours.
	Idle, Stream, Viewer []Line
	// PerStreamHour is of an hour without viewers, PerViewerHour of one viewer.
	PerStreamHour, PerViewerHour, Total float64
	// IVSBasic, IVSStandard and MediaLive are the same use there.
	IVSBasic, IVSStandard, MediaLive float64
}

func sum(lines []Line) float64 {
	var s float64
	for _, l := range lines {
		s += l.Dollars
	}
	return s
}

// Month is the bill of a month.
func Month(p Prices, u Use) Bill {
	if u.ShowHours <= 0 {
		u.ShowHours = 2
	}
	if u.KeepDays <= 0 {
		u.KeepDays = 30
	}
	if !u.Mode.CMAF() {
		u.LowDelay = 1
	} else if !u.Mode.RTMP() {
		u.LowDelay = 0
	}
	b := Bill{Idle: idle(p), Stream: perStreamHour(p, u), Viewer: perViewerHour(p, u)}
	b.PerStreamHour, b.PerViewerHour = sum(b.Stream), sum(b.Viewer)
	viewerHours := u.StreamHours * u.Viewers
	scale(b.Stream, u.StreamHours)
	scale(b.Viewer, viewerHours)
	b.Total = sum(b.Idle) + sum(b.Stream) + sum(b.Viewer)
	ivs := p.IVSOutputSDHour
	switch {
	case u.BitrateMbps > 4:
		ivs = p.IVSOutputFullHDHour
	case u.BitrateMbps > 1.5:
		ivs = p.IVSOutputHDHour
	}
	b.IVSBasic = u.StreamHours*p.IVSBasicInputHour + viewerHours*ivs
	b.IVSStandard = u.StreamHours*p.IVSStandardInputHour + viewerHours*ivs
	b.MediaLive = u.StreamHours*p.MediaLivePackageHour + viewerHours*gbPerHour(u)*p.CDNPerGB
	return b
}

func scale(lines []Line, by float64) {
	for i := range lines {
		lines[i].Dollars *= by
	}
}

func gbPerHour(u Use) float64 { return u.BitrateMbps * 3600 / 8 / 1000 }

func idle(p Prices) []Line {
	const million = 1e6
	return []Line{
		{"load balancer", hoursPerMonth * (p.NLBHour + zones*p.PublicIPv4Hour)},
		{"one smallest worker", hoursPerMonth * (workerVCPU*p.FargateVCPUHour + workerGB*p.FargateGBHour + p.PublicIPv4Hour)},
		{"sweeper", max(0, hoursPerMonth*60*sweeperSeconds*sweeperGB-p.FreeLambdaGBSeconds)*p.LambdaGBSecond + hoursPerMonth*60*p.LambdaPerMillion/million +
			hoursPerMonth*sweepsPerHour*readsPerSweep*p.DynamoReadsPerMillion/million},
		{"alarms, metrics, logs", max(0, alarms-p.FreeAlarms)*p.AlarmMonth + max(0, metrics-p.FreeMetrics)*p.MetricMonth + idleLogGBMonth*p.LogsPerGB},
		{"secrets and key", secrets*p.SecretMonth + keys*p.KeyMonth},
	}
}

func perStreamHour(p Prices, u Use) []Line {
	const million, gib = 1e6, 1 << 30
	puts := SegmentsPerHour * PutsPerSegment
	if !u.Mode.CMAF() {
		puts /= 3 * 5.1 / 2.1 // 6 s segments of the recording, without manifests
	}
	gb := gbPerHour(u)
	worker := (2*workerVCPU*p.FargateVCPUHour + 2*workerGB*p.FargateGBHour + p.PublicIPv4Hour) / (2 * streamsPerWorker)
	return []Line{
		{"S3 requests", puts * p.S3PutPerMillion / million},
		{"S3 storage", gb * u.KeepDays / 30 * p.S3StoragePerGBMonth},
		{"worker", worker},
		{"load balancer", gb * p.NLCUHour},
		{"DynamoDB", (RenewalsPerHour*WriteUnits + transactionsPerShow*unitsPerTransaction/u.ShowHours) * p.DynamoWritesPerMillion / million},
		{"SQS and Lambda", eventsPerShow / u.ShowHours * (3*p.SQSFIFOPerMillion/million + p.LambdaPerMillion/million + consumerSeconds*lambdaMemoryGB*p.LambdaGBSecond)},
		{"logs", LogBytesPerHour / float64(gib) * p.LogsPerGB},
	}
}

func perViewerHour(p Prices, u Use) []Line {
	const million = 1e6
	gb := gbPerHour(u)
	hls := 1 - u.LowDelay
	requests := hls * SegmentsPerHour * 4 // a segment and a playlist of each track
	return []Line{
		{"CloudFront traffic", gb * p.CDNPerGB},
		{"CloudFront requests", requests * p.CDNRequestsPerMillion / million},
		{"load balancer", u.LowDelay * gb * p.NLCUHour},
	}
}
