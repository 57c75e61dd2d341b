package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// importRule is one row of the table "who may import whom".
type importRule struct {
	name    string
	reason  string
	inTests bool // also holds for _test.go files and test support
	breaks  func(f source, im imported) bool
}

// importRules are rules 1–6 of docs/adr/0001, in their order, and two of their
// consequences that concern code made for tests.
func importRules() []importRule {
	return []importRule{
		{
			name:   "rule 1",
			reason: "broadcast holds the rules as values: nothing of ours, no context, no I/O, standard library only",
			breaks: func(f source, im imported) bool {
				// statesgen is the command that prints docs/states.md from the tables.
				return within(f.dir, "internal/broadcast") && f.dir != "internal/broadcast/statesgen" && (!standard(im) || effectful(im.path))
			},
		},
		{
			name:   "rule 1",
			reason: "media and ladder are pure: standard library only",
			breaks: func(f source, im imported) bool {
				return withinAny(f.dir, "internal/media", "internal/ladder") && !standard(im)
			},
		},
		{
			name:   "rule 1",
			reason: "manifest builds text from values: standard library and media only",
			breaks: func(f source, im imported) bool {
				return within(f.dir, "internal/manifest") && !standard(im) && im.ours != "internal/media"
			},
		},
		{
			name:   "rule 1",
			reason: "cmaf writes boxes: standard library, media and mp4ff only",
			breaks: func(f source, im imported) bool {
				return within(f.dir, "internal/cmaf") && !standard(im) && im.ours != "internal/media" &&
					!within(im.path, mp4ff) && !within(im.ours, "internal/cmaf")
			},
		},
		{
			name:   "rule 2",
			reason: "control is the use cases: of ours only broadcast, ladder, media and manifest; it declares the interfaces that it needs",
			breaks: func(f source, im imported) bool {
				return within(f.dir, "internal/control") && im.ours != "" &&
					!withinAny(im.ours, "internal/control", "internal/broadcast", "internal/ladder", "internal/media", "internal/manifest")
			},
		},
		{
			name:   "rule 2",
			reason: "control knows no transport and no database: no net/http, no SQL, no AWS",
			breaks: func(f source, im imported) bool {
				return within(f.dir, "internal/control") && withinAny(im.path, "net/http", "database/sql", "modernc.org/sqlite", awsSDK)
			},
		},
		{
			name:   "rule 3",
			reason: "adapters never import one another: a main hands one to the other",
			breaks: func(f source, im imported) bool {
				from, to := adapter(f.dir), adapter(im.ours)
				return from != "" && to != "" && from != to
			},
		},
		{
			name:    "rule 4",
			reason:  "functions and workers are programs of their own and never import each other",
			inTests: true,
			breaks: func(f source, im imported) bool {
				from, to := program(f.dir), program(im.ours)
				return from != "" && to != "" && from != to
			},
		},
		{
			name:    "rule 4",
			reason:  "internal/ never imports a function or a worker; only cmd/roomcast may put them into one process",
			inTests: true,
			breaks: func(f source, im imported) bool {
				return program(im.ours) != "" && program(f.dir) == "" && !within(f.dir, "cmd/roomcast") &&
					!withinAny(f.dir, "internal/e2e", "internal/sim")
			},
		},
		{
			name:    "rule 4",
			reason:  "nobody imports a command: it is run, not linked",
			inTests: true,
			breaks: func(f source, im imported) bool {
				sampled := f.isTest() && im.ours == "cmd/roomcast/sample" // data, which tests may play
				return within(im.ours, "cmd") && !within(f.dir, "cmd") && !sampled
			},
		},
		{
			name:   "rule 5",
			reason: "workers hold a lease and no store: only a worker's main.go knows one, and hands in a small interface",
			breaks: func(f source, im imported) bool {
				return within(f.dir, "workers") && within(im.ours, "internal/store") && !f.isMain()
			},
		},
		{
			name:   "rule 6",
			reason: "lal and naza panic on unchecked bytes: only rtmpin, behind its guard, and the hub's play side know them",
			breaks: func(f source, im imported) bool {
				return withinAny(im.path, "github.com/q191201771/lal", "github.com/q191201771/naza") &&
					!withinAny(f.dir, "workers/ingest/rtmpin", "workers/ingest/hub")
			},
		},
		{
			name:   "rule 6",
			reason: "only cmaf and demux know mp4ff",
			breaks: func(f source, im imported) bool {
				return within(im.path, mp4ff) && !withinAny(f.dir, "internal/cmaf", "workers/ingest/demux") && !f.isTestSupport()
			},
		},
		{
			name:   "rule 6",
			reason: "only store/dynamo, queue/sqs, objects/s3, awsretry, cdn, fleet, tasks and mains know the AWS SDK",
			breaks: func(f source, im imported) bool {
				return within(im.path, awsSDK) && !withinAny(f.dir, "internal/store/dynamo", "internal/queue/sqs", "internal/objects/s3", "internal/awsretry", "internal/cdn", "internal/fleet", "internal/tasks") && !f.isMain() && !f.isTestSupport()
			},
		},
		{
			name:    "client",
			reason:  "client is what others link: nothing of ours",
			inTests: true,
			breaks: func(f source, im imported) bool {
				return within(f.dir, "client") && im.ours != "" && im.ours != "client"
			},
		},
		{
			name:   "test code",
			reason: "the product does not link what exists for tests",
			breaks: func(f source, im imported) bool {
				return !f.isTestSupport() && (isTestSupport(im.ours) || slices.Contains(testOnly(), im.path))
			},
		},
	}
}

const (
	mp4ff  = "github.com/Eyevinn/mp4ff"
	awsSDK = "github.com/aws/aws-sdk-go-v2"
)

// testOnly are the packages that only tests need.
func testOnly() []string {
	return []string{
		"testing", "testing/synctest", "testing/fstest", "net/http/httptest",
		"go.uber.org/goleak", "pgregory.net/rapid", "github.com/google/go-cmp/cmp", "github.com/Eyevinn/dash-mpd/mpd",
		"github.com/Shopify/toxiproxy/v2", "github.com/rs/zerolog",
	}
}

func checkImports(f source) []Problem {
	var problems []Problem
	for _, im := range f.imports() {
		for _, rule := range importRules() {
			if (f.isTest() && !rule.inTests) || !rule.breaks(f, im) {
				continue
			}
			problems = append(problems, Problem{
				Where:  f.at(im.line),
				Rule:   rule.name,
				Reason: fmt.Sprintf("imports %s, but %s", im.path, rule.reason),
			})
		}
	}
	return problems
}

// standard tells the standard library by the dot that every other module's
// first path element has.
func standard(im imported) bool {
	first, _, _ := strings.Cut(im.path, "/")
	return !strings.Contains(first, ".")
}

// effectful are the standard packages with which a pure package could reach
// outside. `time` is not among them: its values are data, and rule 7 watches
// the clock.
func effectful(pkg string) bool {
	return withinAny(pkg, "context", "os", "net", "log", "syscall", "database/sql", "math/rand", "crypto/rand")
}

// adapter is the adapter that a folder belongs to, "" for none.
func adapter(dir string) string {
	parts := strings.Split(dir, "/")
	if len(parts) < 2 || parts[0] != "internal" {
		return ""
	}
	switch parts[1] {
	case "store", "queue", "objects":
		if len(parts) > 2 {
			return strings.Join(parts[1:3], "/")
		}
	case "httpapi", "webhook", "ffmpeg":
		return parts[1]
	}
	return ""
}

// program is the function or worker that a folder belongs to, "" for none.
func program(dir string) string {
	parts := strings.Split(dir, "/")
	if len(parts) < 2 || (parts[0] != "functions" && parts[0] != "workers") {
		return ""
	}
	return strings.Join(parts[:2], "/")
}
