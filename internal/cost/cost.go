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
	SQSPerMillion          float64 `json:"sqsPerMillion"`
	SchedulerPerMillion    float64 `json:"schedulerPerMillion"`
	RegistryPerGBMonth     float64 `json:"registryPerGBMonth"`

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

// Counts are what the model takes a passthrough stream of one video and one
// audio track for, and a show of it from the publish to the playable recording.
// A test measures them on a deployed stack within 10 % (internal/e2e/stack).
type Counts struct {
	// PutsPerSegment: two tracks' segments, their playlists, the MPD, and each
	// tenth time the index of the recording.
	PutsPerSegment float64
	// RenewalPause is between two renewals of the lease, of RenewalUnits write
	// units.
	RenewalPause, RenewalUnits float64
	// The rest is of a show, however long it lasts. Not in it: your backend's
	// own reads, webhooks, and the transcoding of the recording.
	PutsPerShow float64 // init segments, records, the recording's beginning and manifests
	// TransactionsPerShow are those of events, start, end and recording. The
	// units are bounds: the outbox does together what comes close together.
	TransactionsPerShow                 float64
	ReadUnitsPerShow, WriteUnitsPerShow float64
	MessagesPerShow                     float64 // of SQS: each is sent, received and deleted
	InvocationsPerShow                  float64 // of Lambda, the API's two among them
	LogBytesPerShow                     float64 // of the worker
	// QueriesPerSweep, half a read unit each, is a pass of the sweeper.
	QueriesPerSweep float64
	// LogBytesPerMinute are a worker's metrics.
	LogBytesPerMinute float64
}

// Measured are the counts of this version.
func Measured() Counts {
	return Counts{
		PutsPerSegment: 5.1, RenewalPause: 2, RenewalUnits: 1,
		PutsPerShow: 13, TransactionsPerShow: 6, ReadUnitsPerShow: 70, WriteUnitsPerShow: 280, MessagesPerShow: 8, InvocationsPerShow: 24,
		LogBytesPerShow: 730, QueriesPerSweep: 35, LogBytesPerMinute: 430,
	}
}

// What is not counted but set, or assumed.
const (
	hoursPerMonth, minutesPerMonth = 730, 730 * 60
	segmentSeconds                 = 2.0
	// The sweeper looks once a minute while nobody streams, and every 2 s for 54 s
	// of each minute while anybody does; each publish calls it for as long besides
	// (functions/sweeper).
	sweeperGB, lambdaGB  = 0.125, 0.25
	sweepSeconds         = 0.5
	shiftSeconds         = 54
	shiftSweeps          = 27
	invocationSeconds    = 0.1
	invocationLogBytes   = 1 << 10 // AWS's own lines
	alarms, idleMetrics  = 11, 3
	secrets, keys        = 3, 1
	pollsPerQueue        = 5 * 3 // a minute: Lambda's five pollers, 20 s each
	queues, imageGB      = 3, 0.5
	workerVCPU, workerGB = 0.25, 0.5
	zones                = 2
	streamsPerWorker     = 20 // of the smallest one
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

// idle counts nothing that is free of charge for a year or up to a limit, but
// the dashboard: three of them cost no account anything.
func idle(p Prices) []Line {
	const million, gib = 1e6, 1 << 30
	c := Measured()
	return []Line{
		{"load balancer", hoursPerMonth * (p.NLBHour + zones*p.PublicIPv4Hour)},
		{"one smallest worker", hoursPerMonth * (workerVCPU*p.FargateVCPUHour + workerGB*p.FargateGBHour + p.PublicIPv4Hour)},
		{"sweeper", minutesPerMonth * (sweeping(p, sweepSeconds, 1) + (p.LambdaPerMillion+p.SchedulerPerMillion)/million)},
		{"queues that are asked", minutesPerMonth * queues * pollsPerQueue * p.SQSPerMillion / million},
		{"alarms and metrics", alarms*p.AlarmMonth + idleMetrics*p.MetricMonth},
		{"logs", minutesPerMonth * (c.LogBytesPerMinute + invocationLogBytes) / gib * p.LogsPerGB},
		{"secrets and key", secrets*p.SecretMonth + keys*p.KeyMonth},
		{"images", imageGB * p.RegistryPerGBMonth},
	}
}

// sweeping is what the sweeper costs that runs for so long and looks so often.
func sweeping(p Prices, seconds, looks float64) float64 {
	return seconds*sweeperGB*p.LambdaGBSecond + looks*Measured().QueriesPerSweep/2*p.DynamoReadsPerMillion/1e6
}

// busy is what an hour costs more in which anybody streams, however many do.
func busy(p Prices) float64 {
	return 60 * sweeping(p, shiftSeconds-sweepSeconds, shiftSweeps-1)
}

func perStreamHour(p Prices, u Use) []Line {
	const million, gib = 1e6, 1 << 30
	c, shows := Measured(), 1/u.ShowHours
	puts := 3600/segmentSeconds*c.PutsPerSegment + c.PutsPerShow*shows
	if !u.Mode.CMAF() {
		puts = 3600/6*2.1 + c.PutsPerShow*shows // 6 s segments of the recording, without manifests
	}
	gb := gbPerHour(u)
	worker := (2*workerVCPU*p.FargateVCPUHour + 2*workerGB*p.FargateGBHour + p.PublicIPv4Hour) / (2 * streamsPerWorker)
	return []Line{
		{"S3 requests", puts * p.S3PutPerMillion / million},
		{"S3 storage", gb * u.KeepDays / 30 * p.S3StoragePerGBMonth},
		{"worker", worker},
		{"load balancer", gb * p.NLCUHour},
		{"DynamoDB", (3600/c.RenewalPause*c.RenewalUnits+c.WriteUnitsPerShow*shows)*p.DynamoWritesPerMillion/million + c.ReadUnitsPerShow*shows*p.DynamoReadsPerMillion/million},
		{"SQS and Lambda", shows * (3*c.MessagesPerShow*p.SQSFIFOPerMillion/million +
			c.InvocationsPerShow*(p.LambdaPerMillion/million+invocationSeconds*lambdaGB*p.LambdaGBSecond))},
		{"sweeper", busy(p)/streamsPerWorker + shows*(sweeping(p, shiftSeconds, shiftSweeps)+p.LambdaPerMillion/million)},
		{"logs", (c.LogBytesPerShow + c.InvocationsPerShow*invocationLogBytes) * shows / gib * p.LogsPerGB},
	}
}

func perViewerHour(p Prices, u Use) []Line {
	const million = 1e6
	gb := gbPerHour(u)
	hls := 1 - u.LowDelay
	requests := hls * 3600 / segmentSeconds * 4 // a segment and a playlist of each track
	return []Line{
		{"CloudFront traffic", gb * p.CDNPerGB},
		{"CloudFront requests", requests * p.CDNRequestsPerMillion / million},
		{"load balancer", u.LowDelay * gb * p.NLCUHour},
	}
}
