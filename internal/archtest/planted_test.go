package archtest

import (
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// planted is a tree with one or two files and the rules that it breaks.
type planted struct {
	name  string
	files map[string]string // path → text; Go files are written by goFile
	want  []string          // "path:line: rule" of every problem, ordered
}

// goFile is a documented Go file that imports the given packages, one per line
// from line 4 on. A name of ours starts with "internal", "cmd", "functions" or
// "workers".
func goFile(imports ...string) string {
	var b strings.Builder
	b.WriteString("// Package p is for this test.\npackage p\nimport (\n")
	for _, im := range imports {
		if withinAny(im, "internal", "client", "cmd", "functions", "workers") {
			im = modulePath + "/" + im
		}
		b.WriteString("_ \"" + im + "\"\n")
	}
	b.WriteString(")\n")
	return b.String()
}

// goBody is a documented Go file whose body starts at line 3.
func goBody(body string) string { return "// Package p is for this test.\npackage p\n" + body }

const (
	lal    = "github.com/q191201771/lal/pkg/rtmp"
	naza   = "github.com/q191201771/naza/pkg/nazalog"
	boxes  = "github.com/Eyevinn/mp4ff/mp4"
	aws    = "github.com/aws/aws-sdk-go-v2/service/s3"
	ulid   = "github.com/oklog/ulid/v2"
	goleak = "go.uber.org/goleak"
)

func plantedImports() []planted {
	one := func(name, file string, want string, imports ...string) planted {
		p := planted{name: name, files: map[string]string{file: goFile(imports...)}}
		if program(path.Dir(file)) == "functions/api" {
			p.files["infra/functions.yaml"] = "Resources:\n  Api:\n    Type: AWS::Serverless::Function\n" // rule 8
		}
		if want != "" {
			p.want = []string{file + ":4: " + want}
		}
		return p
	}
	return []planted{
		one("broadcast may use time's values", "internal/broadcast/a.go", "", "time", "errors"),
		one("broadcast knows nothing of ours", "internal/broadcast/a.go", "rule 1", "internal/media"),
		one("the client knows nothing of ours", "client/a_test.go", "client", "internal/broadcast"),
		one("the client's example knows the client", "client/example/main.go", "", "client", "time"),
		one("broadcast knows no context", "internal/broadcast/a.go", "rule 1", "context"),
		one("broadcast does no I/O", "internal/broadcast/a.go", "rule 1", "net/http"),
		one("broadcast has no dependency", "internal/broadcast/a.go", "rule 1", ulid),
		one("broadcast's tests may use tools", "internal/broadcast/a_test.go", "", "pgregory.net/rapid"),
		one("media is pure", "internal/media/a.go", "rule 1", "internal/broadcast"),
		one("ladder is pure", "internal/ladder/a.go", "rule 1", ulid),
		one("manifest may use media", "internal/manifest/a.go", "", "internal/media"),
		one("manifest knows no boxes", "internal/manifest/a.go", "rule 1", "internal/cmaf"),
		one("cmaf may use media and mp4ff", "internal/cmaf/a.go", "", "internal/media", boxes),
		one("cmaf knows no manifest", "internal/cmaf/a.go", "rule 1", "internal/manifest"),

		one("control may use the pure packages", "internal/control/a.go", "", "internal/broadcast", "internal/ladder", "internal/media", "internal/manifest"),
		one("control knows no adapter", "internal/control/a.go", "rule 2", "internal/store/sqlite"),
		one("control knows no HTTP", "internal/control/a.go", "rule 2", "net/http"),
		one("control knows no SQL", "internal/control/a.go", "rule 2", "database/sql"),

		one("an adapter may use control", "internal/store/sqlite/a.go", "", "internal/control"),
		one("an adapter may have parts", "internal/store/sqlite/a.go", "", "internal/store/sqlite/schema"),
		one("a queue knows no store", "internal/queue/local/a.go", "rule 3", "internal/store/sqlite"),
		one("a store knows no other store", "internal/store/dynamo/a.go", "rule 3", "internal/store/sqlite"),
		one("httpapi knows no store", "internal/httpapi/a.go", "rule 3", "internal/store/sqlite"),
		one("webhook knows no httpapi", "internal/webhook/a.go", "rule 3", "internal/httpapi"),
		one("ffmpeg knows no objects", "internal/ffmpeg/a.go", "rule 3", "internal/objects/disk"),
		one("tests may put adapters together", "internal/httpapi/a_test.go", "", "internal/store/sqlite"),

		one("a function knows no worker", "functions/api/a.go", "rule 4", "workers/ingest/hub"),
		one("a function knows no function, in tests either", "functions/api/a_test.go", "rule 4", "functions/outbox"),
		one("a worker knows no worker", "workers/ingest/hub/a.go", "rule 4", "workers/transcoder/job"),
		one("a worker knows its own packages", "workers/ingest/session/a.go", "", "workers/ingest/hub"),
		one("internal knows no worker", "internal/console/a.go", "rule 4", "workers/ingest/hub"),
		one("internal's tests know no worker", "internal/console/a_test.go", "rule 4", "workers/ingest/hub"),
		one("end to end tests know workers", "internal/e2e/a_test.go", "", "workers/ingest/hub"),
		one("the command knows workers", "cmd/roomcast/a.go", "", "workers/ingest/hub", "functions/api"),
		one("another command does not", "cmd/other/a.go", "rule 4", "workers/ingest/hub"),
		one("nobody links the command", "internal/e2e/a_test.go", "rule 4", "cmd/roomcast"),
		one("tests may play the built-in sample", "internal/console/a_test.go", "", "cmd/roomcast/sample"),
		one("the product does not link it", "internal/console/a.go", "rule 4", "cmd/roomcast/sample"),

		one("a worker's main knows the store", "workers/ingest/main.go", "", "internal/store/dynamo"),
		one("a worker's package does not", "workers/ingest/session/a.go", "rule 5", "internal/store/dynamo"),
		one("a main.go further down is no main", "workers/ingest/session/main.go", "rule 5", "internal/store/dynamo"),

		one("rtmpin knows lal", "workers/ingest/rtmpin/a.go", "", lal, naza),
		one("the hub knows lal", "workers/ingest/hub/a.go", "", lal),
		one("demux does not know lal", "workers/ingest/demux/a.go", "rule 6", lal),
		one("nobody else silences naza", "cmd/roomcast/a.go", "rule 6", naza),
		one("demux knows mp4ff", "workers/ingest/demux/a.go", "", boxes),
		one("a checker for tests knows mp4ff", "internal/mediatest/check/a.go", "", boxes),
		one("segment does not know mp4ff", "workers/ingest/segment/a.go", "rule 6", boxes),
		one("objects/s3 and mains know AWS", "internal/objects/s3/a.go", "", aws),
		one("a worker's packages do not know AWS", "workers/ingest/upload/a.go", "rule 6", aws),

		one("the product links no test package", "internal/httpapi/a.go", "test code", "net/http/httptest"),
		one("the product links no test support", "cmd/roomcast/a.go", "test code", "internal/mediatest"),
		one("contract tests are test code", "internal/store/storetest/a.go", "", "testing", goleak),
	}
}

func plantedRest() []planted {
	return []planted{
		{
			name:  "only config reads the environment",
			files: map[string]string{"internal/httpapi/a.go": goBody("import \"os\"\nvar x = os.Getenv(\"X\")\n"), "internal/config/a.go": goBody("import \"os\"\nvar x = os.Getenv(\"X\")\n")},
			want:  []string{"internal/httpapi/a.go:4: rule 7"},
		},
		{
			name:  "an alias hides nothing",
			files: map[string]string{"internal/httpapi/a.go": goBody("import sys \"os\"\nvar x, _ = sys.LookupEnv(\"X\")\n")},
			want:  []string{"internal/httpapi/a.go:4: rule 7"},
		},
		{
			name: "only mains ask the clock",
			files: map[string]string{
				"internal/control/a.go":      goBody("import \"time\"\nvar now = time.Now\n"),
				"internal/control/a_test.go": goBody("import \"time\"\nvar now2 = time.Now\n"),
				"workers/ingest/hub/a.go":    goBody("import \"time\"\nfunc f() { time.Sleep(1) }\n"),
				"workers/ingest/main.go":     goBody("import \"time\"\nvar now = time.Now\n"),
				"cmd/roomcast/up.go":         goBody("import \"time\"\nvar now = time.Now\n"),
			},
			want: []string{"internal/control/a.go:4: rule 7", "workers/ingest/hub/a.go:4: rule 7"},
		},
		{
			name:  "another Now is no clock",
			files: map[string]string{"internal/control/a.go": goBody("import \"time\"\nvar d time.Duration\nfunc f(c interface{ Now() time.Time }) time.Time { return c.Now() }\n")},
		},
		{
			name:  "no init functions, but methods of that name",
			files: map[string]string{"internal/media/a.go": goBody("func init() {}\ntype s struct{}\nfunc (s) init() {}\n")},
			want:  []string{"internal/media/a.go:3: no init"},
		},
		{
			name: "no test skips itself",
			files: map[string]string{"internal/media/a_test.go": goBody(
				"import \"testing\"\nfunc TestA(t *testing.T) {\nt.Skip(\"later\")\nt.Skipf(\"%d\", 1)\n}\nfunc g(d interface{ Skip(int) }) { d.Skip(1) }\n")},
			want: []string{"internal/media/a_test.go:5: no skip", "internal/media/a_test.go:6: no skip"},
		},
		{
			name: "files stay short, unless they are tests or generated",
			files: map[string]string{
				"internal/media/long.go":      goBody(strings.Repeat("// line\n", maxLines)),
				"internal/media/fits.go":      goBody(strings.Repeat("// line\n", maxLines-2)),
				"internal/media/long_test.go": goBody(strings.Repeat("// line\n", maxLines)),
				"internal/media/gen.go":       "// Code generated by hand. DO NOT EDIT.\n" + goBody(strings.Repeat("// line\n", maxLines)),
			},
			want: []string{"internal/media/long.go: file size"},
		},
		{
			name: "every package says what it is for",
			files: map[string]string{
				"internal/media/a.go":      "package media\n",
				"internal/media/a_test.go": goBody(""),
				"internal/e2e/a_test.go":   goBody(""),
				"internal/sim/a_test.go":   "package sim\n",
			},
			want: []string{"internal/media: package comment", "internal/sim: package comment"},
		},
		{
			name: "other modules, test data and npm packages are not ours",
			files: map[string]string{
				"internal/tools/go.mod":                  "module x\n",
				"internal/tools/a.go":                    "package tools\n",
				"internal/media/testdata/a.go":           "not go",
				"internal/e2e/browser/node_modules/a.go": "not go",
			},
		},
	}
}

func plantedFolders() []planted {
	const fn = "Resources:\n  ApiFunction:\n    Type: AWS::Serverless::Function\n    Properties: {}\n  Role:\n    Type: AWS::IAM::Role\n  Gone:\n    Type: AWS::Serverless::Function\nOutputs:\n  Other:\n    Type: AWS::Serverless::Function\n"
	const index = "# Records\n\n- [One](0001-one.md)\n- [Gone](0009-gone.md)\n"
	return []planted{
		{
			name: "folders and resources match",
			files: map[string]string{
				"functions/api/main.go": goBody(""), "functions/outbox/main.go": goBody(""),
				"infra/functions.yaml": fn, "workers/ingest/main.go": goBody(""),
			},
			want: []string{"functions/outbox: rule 8", "infra/functions.yaml: rule 8"},
		},
		{
			name:  "a function needs its template from the first day",
			files: map[string]string{"functions/api/main.go": goBody("")},
			want:  []string{"functions/api: rule 8"},
		},
		{
			name: "workers match once their template exists",
			files: map[string]string{
				"workers/ingest/main.go": goBody(""), "workers/transcoder/main.go": goBody(""),
				"infra/workers.yaml": "Resources:\n  IngestTaskDefinition:\n    Type: AWS::ECS::TaskDefinition\n",
			},
			want: []string{"workers/transcoder: rule 8"},
		},
		{
			name: "the index lists every decision",
			files: map[string]string{
				"docs/adr/README.md": index, "docs/adr/template.md": "x",
				"docs/adr/0001-one.md": "x", "docs/adr/0002-two.md": "x", "docs/adr/0001-again.md": "x", "docs/adr/notes.md": "x",
			},
			want: []string{
				"docs/adr/0001-again.md: decision index", "docs/adr/0001-one.md: decision index",
				"docs/adr/0002-two.md: decision index", "docs/adr/README.md: decision index", "docs/adr/notes.md: decision index",
			},
		},
	}
}

func TestEveryPlantedViolationIsFound(t *testing.T) {
	for _, p := range slices.Concat(plantedImports(), plantedRest(), plantedFolders()) {
		t.Run(p.name, func(t *testing.T) {
			tree := fstest.MapFS{}
			for name, text := range p.files {
				tree[name] = &fstest.MapFile{Data: []byte(text)}
			}
			problems, err := Check(tree)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, problem := range problems {
				if problem.Reason == "" {
					t.Errorf("%s: no reason given", problem.Where)
				}
				if line := problem.Where + ": " + problem.Rule; !slices.Contains(got, line) {
					got = append(got, line)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, p.want) {
				t.Errorf("found %q, planted %q", got, p.want)
			}
		})
	}
}

func TestAFileThatIsNoGoIsAnError(t *testing.T) {
	tree := fstest.MapFS{"internal/media/a.go": &fstest.MapFile{Data: []byte("package")}}
	if _, err := Check(tree); err == nil || !strings.Contains(err.Error(), "internal/media/a.go") {
		t.Errorf("got %v, want an error that names the file", err)
	}
}
