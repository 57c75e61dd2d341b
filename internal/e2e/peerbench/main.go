// Command peerbench measures what ingest (docs/bench/ingest.md; with -unpaced
// packaging and uploads alone) or, with -play, viewers (docs/bench/play.md)
// cost, ours beside its peers, in the same run: server on one core, load from
// the other, rounds interleaved. It needs two cores, and Debian's nginx,
// libnginx-mod-rtmp and ffmpeg.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/roomcast/roomcast/internal/objects/s3"
)

// settings are the run's.
type settings struct {
	roomcast string
	rounds   int
	window   time.Duration
	streams  []int
	dir      string
	only     string
	play     bool
	unpaced  bool
	profiles string
}

func main() {
	var s settings
	flag.StringVar(&s.roomcast, "roomcast", "bin/roomcast", "the program to measure")
	flag.IntVar(&s.rounds, "rounds", 3, "interleaved rounds")
	flag.DurationVar(&s.window, "window", 30*time.Second, "how long CPU is counted in each round")
	flag.StringVar(&s.only, "only", "", "part of the names of the cases to run; empty = all")
	list := flag.String("streams", "10,60", "numbers of publishers, or with -play of viewers, comma-separated")
	flag.BoolVar(&s.play, "play", false, "measure viewers of one stream")
	flag.BoolVar(&s.unpaced, "unpaced", false, "measure packaging and uploads as fast as they go")
	var j job
	flag.StringVar(&j.kind, "be", "", "be what is measured")
	flag.StringVar(&j.address, "address", "", "where that listens, or sends to")
	flag.StringVar(&j.dir, "dir", "", "where it writes")
	flag.IntVar(&j.minutes, "minutes", 1, "of media")
	flag.StringVar(&j.profile, "profile", "", "where it writes its CPU profile; with -unpaced a folder")
	plain := flag.String("plain", "", "be the plain loop at this address")
	file := flag.String("source", "", "what the plain loop plays")
	flag.Parse()
	s.profiles = j.profile
	if j.source = *file; j.kind != "" {
		if err := j.run(context.Background()); err != nil {
			fail(err)
		}
		return
	}
	if *plain != "" {
		fail(servePlain(context.Background(), *plain, *file))
	}
	if err := s.parse(*list); err != nil {
		fail(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := os.MkdirTemp("", "peerbench-")
	if err != nil {
		fail(err)
	}
	s.dir = dir
	measure := run
	switch {
	case s.play:
		measure = runPlay
	case s.unpaced:
		measure = runUnpaced
	}
	err = measure(ctx, s)
	_ = os.RemoveAll(dir) // best effort, in the temporary directory
	if err != nil {
		fail(err)
	}
}

// s3At is a new bucket of what answers there.
func s3At(address string) (*s3.Bucket, error) {
	return s3.New(s3.Options{Bucket: fmt.Sprint("bench", os.Getpid()), AWS: aws.Config{
		Region: "us-east-1", BaseEndpoint: &address,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "key", SecretAccessKey: "secret"}, nil
		}),
	}})
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "peerbench:", err)
	os.Exit(1)
}

func (s *settings) parse(list string) error {
	for n := range strings.SplitSeq(list, ",") {
		v, err := strconv.Atoi(n)
		if err != nil || v < 1 {
			return fmt.Errorf("%q is no number of streams", n)
		}
		s.streams = append(s.streams, v)
	}
	for _, name := range []string{"nginx", "ffmpeg", "taskset", s.roomcast} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w (make deps)", err)
		}
	}
	abs, err := filepath.Abs(s.roomcast)
	s.roomcast = abs
	return err
}

// sample is one round's cost of one server.
type sample struct {
	cpu      float64 // seconds of CPU per media-hour, of the whole process
	added    float64 // ms per second that each publisher adds to the idle process
	idle     float64 // ms per second of the process without a publisher
	memoryMB float64 // resident, at the end
	addedMB  float64 // that each publisher adds
	load     float64 // of the machine, over the minute before the end
}

func run(ctx context.Context, s settings) error {
	source, err := makeSource(ctx, s.dir)
	if err != nil {
		return err
	}
	servers := []server{
		{name: "nginx-rtmp ingest", start: nginx(false)},
		{name: "roomcast ingest", start: ingestOnly},
		{name: "nginx-rtmp hls+dash", start: nginx(true)},
		{name: "roomcast hls+dash", start: roomcast("")},
		{name: "roomcast rtmp", start: roomcast("RTMP")},
	}
	for _, n := range s.streams {
		all := map[string][]sample{}
		for range s.rounds {
			for _, v := range servers {
				if s.only != "" && !strings.Contains(v.name, s.only) {
					continue
				}
				got, err := measure(ctx, s, v, source, n)
				if err != nil {
					return fmt.Errorf("%s, %d streams: %w", v.name, n, err)
				}
				all[v.name] = append(all[v.name], got)
				say("# %s, %d streams: %.2f cpu-s per media-hour (idle %.2f ms/s, each publisher adds %.2f ms/s and %.2f MB), %.1f MB, load %.2f\n",
					v.name, n, got.cpu, got.idle, got.added, got.addedMB, got.memoryMB, got.load)
			}
		}
		report(servers, all, n)
	}
	return nil
}

// report prints medians, ranges and the ratio to nginx-rtmp doing the same.
func report(servers []server, all map[string][]sample, n int) {
	say("| %d publishers | cpu-s per media-hour, median | range | of nginx-rtmp hls+dash | of nginx-rtmp ingest | idle, ms/s | each adds, ms/s | of nginx-rtmp ingest | resident MB | each adds MB |\n|---|---|---|---|---|---|---|---|---|---|\n", n)
	cpu := func(s sample) float64 { return s.cpu }
	added := func(s sample) float64 { return s.added }
	packaged, ingest := all["nginx-rtmp hls+dash"], all["nginx-rtmp ingest"]
	for _, v := range servers {
		list := all[v.name]
		if len(list) == 0 {
			continue
		}
		least, most := slices.MinFunc(list, by(cpu)), slices.MaxFunc(list, by(cpu))
		say("| %s | %.2f | %.2f – %.2f | %s | %s | %.2f | %.2f | %s | %.1f | %.2f |\n", v.name, median(list, cpu), least.cpu, most.cpu,
			ratio(median(list, cpu), median(packaged, cpu)), ratio(median(list, cpu), median(ingest, cpu)),
			median(list, func(s sample) float64 { return s.idle }), median(list, added), ratio(median(list, added), median(ingest, added)),
			median(list, func(s sample) float64 { return s.memoryMB }), median(list, func(s sample) float64 { return s.addedMB }))
	}
}

func by(of func(sample) float64) func(a, b sample) int {
	return func(a, b sample) int { return cmp.Compare(of(a), of(b)) }
}

func median(list []sample, of func(sample) float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.SortedFunc(slices.Values(list), by(of))
	return of(sorted[len(sorted)/2])
}

func ratio(v, of float64) string {
	if of <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", v/of)
}

func say(format string, args ...any) { fmt.Printf(format, args...) }
