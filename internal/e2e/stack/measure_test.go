package stack

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/cost"
)

// measured is what a show does from a moment on.
type measured struct {
	s      *stack
	worker *process
	from   time.Time
	said   int
	before map[string]int
}

func (s *stack) measure(worker *process) *measured {
	s.t.Helper()
	s.quiet()
	return &measured{s: s, worker: worker, from: time.Now(), said: len(worker.out.String()), before: s.invocations()}
}

// quiet waits until what happened before has gone through the stream.
func (s *stack) quiet() {
	s.t.Helper()
	last, since := 0, time.Now()
	s.eventually(patience, "the stream is quiet", func() error {
		if n := s.invocations()["records"]; n != last {
			last, since = n, time.Now()
		}
		if last == 0 || time.Since(since) < 2*time.Second {
			return fmt.Errorf("%d records", last)
		}
		return nil
	})
}

// calls of a program since then; "" = of all that the model counts: the sweeper
// has a line of its own, the transcoder and the webhooks are not in it.
func (m *measured) calls(program string) (list []call) {
	for name, g := range m.s.gateways {
		if program == "" && !slices.Contains([]string{"Sweeper", "TranscoderTask", "Webhook"}, name) || name == program {
			for _, c := range g.all() {
				if c.at.After(m.from) {
					list = append(list, c)
				}
			}
		}
	}
	slices.SortFunc(list, func(a, b call) int { return a.at.Compare(b.at) })
	return list
}

// puts of the worker, in their order.
func (m *measured) puts() (list []call) {
	for _, c := range m.calls("IngestBlueTask") {
		if c.name == "s3.PutObject" {
			list = append(list, c)
		}
	}
	return list
}

// segments are the places of video segments in puts.
func (m *measured) segments() (at []int) {
	for i, c := range m.puts() {
		if path.Base(path.Dir(c.key)) == "v" && path.Ext(c.key) == ".m4s" {
			at = append(at, i)
		}
	}
	return at
}

// compare holds the counts against the model's.
func (m *measured) compare(model cost.Counts) {
	t := m.s.t
	t.Helper()
	m.s.quiet()
	within := func(what string, got, want float64) {
		t.Helper()
		t.Logf("%s: %.2f, the model says %.2f", what, got, want)
		if math.Abs(got-want) > 0.1*want {
			t.Errorf("%s: %.2f, and the model says %.2f", what, got, want)
		}
	}
	atMost := func(what string, got, want float64) {
		t.Helper()
		t.Logf("%s: %.2f, the model says at most %.2f", what, got, want)
		if got > want || got < want/2 {
			t.Errorf("%s: %.2f, and the model says at most %.2f", what, got, want)
		}
	}
	at := m.segments()
	perSegment := float64(at[11]-at[1]) / 10
	within("PUTs for each segment", perSegment, model.PutsPerSegment)

	var pauses []float64
	var renewals, last float64
	var sum struct{ reads, writes, messages, puts, transactions float64 }
	var ended time.Time
	for _, c := range m.calls("IngestBlueTask") {
		if c.name != "dynamodb.UpdateItem" {
			continue
		}
		if !ended.IsZero() {
			pauses = append(pauses, c.at.Sub(ended).Seconds())
		}
		ended, last = c.end, c.writes
		renewals += c.writes
	}
	slices.Sort(pauses)
	within("pause between two renewals, s", pauses[len(pauses)/2], model.RenewalPause)
	within("write units of a renewal", last, model.RenewalUnits)

	for _, c := range m.calls("") {
		sum.reads, sum.writes = sum.reads+c.reads, sum.writes+c.writes
		sum.messages += float64(c.messages)
		switch c.name {
		case "s3.PutObject":
			sum.puts++
		case "dynamodb.TransactWriteItems":
			sum.transactions++
		}
	}
	// Of the API's start and end alone: it notes a key's use each minute. Of the
	// outbox's one for each batch, which is in the bound of the write units.
	sum.transactions += 2
	for _, c := range append(m.calls("Outbox"), m.calls("Api")...) {
		if c.name == "dynamodb.TransactWriteItems" {
			sum.transactions--
		}
	}
	for _, c := range m.calls("Api") { // what this test asks while it waits, and the count of it
		sum.reads -= c.reads
		if c.name == "dynamodb.UpdateItem" {
			sum.writes -= c.writes
		}
	}
	within("PUTs of a show", sum.puts-float64(5*len(at)+len(at)/10), model.PutsPerShow)
	within("transactions of a show", sum.transactions, model.TransactionsPerShow)
	atMost("read units of a show", sum.reads, model.ReadUnitsPerShow)
	atMost("write units of a show", sum.writes-renewals, model.WriteUnitsPerShow)
	within("messages of a show", sum.messages, model.MessagesPerShow)
	now := m.s.invocations()
	// Two of the API; each record of the stream for itself, as nothing else comes
	// close to it on a quiet day, and each job once.
	invocations := 2
	for _, name := range []string{"StateConsumer", "records", "jobs"} {
		invocations += now[name] - m.before[name]
	}
	within("invocations of a show", float64(invocations), model.InvocationsPerShow)
	lines, metrics := 0, 0
	for line := range strings.Lines(m.worker.out.String()[m.said:]) {
		switch {
		case strings.Contains(line, `"_aws"`):
			metrics = max(metrics, len(line))
		case strings.Contains(line, `"level":"INFO"`): // a store that is slow makes warnings, no show
			lines += len(line)
		}
	}
	within("log bytes of a show", float64(lines), model.LogBytesPerShow)
	if metrics > 0 {
		within("log bytes of a minute", float64(metrics), model.LogBytesPerMinute)
	}
	hashes := map[string]float64{}
	queries := 0.0
	for _, c := range m.calls("Sweeper") {
		if c.name == "dynamodb.Query" {
			hashes[c.key]++
			queries++
		}
	}
	passes := 0.0
	for _, n := range hashes {
		passes = max(passes, n)
	}
	within("queries of a sweep", queries/passes, model.QueriesPerSweep)
}
