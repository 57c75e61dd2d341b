package infratest_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	it "github.com/roomcast/roomcast/internal/infratest"
)

// instruction is one of a Dockerfile, its lines joined.
type instruction struct{ name, rest string }

func dockerfile(t *testing.T, worker string) []instruction {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(it.Root(), "workers", worker, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	return instructions(string(b))
}

func instructions(text string) (list []instruction) {
	text = regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		if name, rest, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			list = append(list, instruction{name, strings.TrimSpace(rest)})
		}
	}
	return list
}

// last is the argument of the last instruction of a name.
func last(list []instruction, name string) string {
	for _, i := range slices.Backward(list) {
		if i.name == name {
			return i.rest
		}
	}
	return ""
}

// unfit tells what a worker's image lacks.
func unfit(worker string, list []instruction) (problems []string) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if user := last(list, "USER"); user != "65532:65532" {
		wrong("runs as %q", user)
	}
	if want := `CMD ["/` + worker + `", "healthcheck"]`; !strings.HasSuffix(last(list, "HEALTHCHECK"), want) {
		wrong("health is %q", last(list, "HEALTHCHECK"))
	}
	if last(list, "ENTRYPOINT") != `["/`+worker+`"]` {
		wrong("entry point %q", last(list, "ENTRYPOINT"))
	}
	stages, installed := 0, ""
	for _, i := range list {
		if i.name == "FROM" {
			stages++
			installed = "" // what the last stage has is in the image
			if strings.Contains(i.rest, "latest") || !strings.Contains(i.rest, ":") {
				wrong("base %s floats", i.rest)
			}
		}
		if _, packages, ok := strings.Cut(i.rest, "apt-get install "); ok && i.name == "RUN" {
			installed, _, _ = strings.Cut(packages, "&&")
		}
		if i.name == "ADD" || i.name == "ENV" && strings.Contains(i.rest, "SECRET") {
			wrong("%s %s", i.name, i.rest)
		}
	}
	for _, p := range []string{"ca-certificates", "ffmpeg"} { // AWS's names; ladders and recordings
		if !slices.Contains(strings.Fields(installed), p) {
			wrong("has no %s", p)
		}
	}
	if stages != 2 {
		wrong("has %d stages", stages)
	}
	return problems
}

func TestImagesRunAsNobodyKnowTheirHealthAndHaveWhatTheyNeed(t *testing.T) {
	for _, worker := range []string{"ingest", "transcoder"} {
		for _, p := range unfit(worker, dockerfile(t, worker)) {
			t.Errorf("%s: %s", worker, p)
		}
	}
	want := []string{
		`runs as "root"`, `health is ""`, `entry point "[\"/other\"]"`, "base debian:latest floats", "ADD x /x",
		"has no ca-certificates", "has no ffmpeg", "has 1 stages",
	}
	got := unfit("ingest", instructions("FROM debian:latest\nADD x /x\nRUN apt-get install -y \\\n curl && true\nUSER root\nENTRYPOINT [\"/other\"]\n"))
	if !slices.Equal(got, want) {
		t.Errorf("of an unfit image %q is found", got)
	}
}

// The root file system of the task is read-only and it has no other.
func TestTheIngestWorkerWritesNoFile(t *testing.T) {
	writes := regexp.MustCompile(`\bos\.(Create|CreateTemp|Mkdir|MkdirAll|MkdirTemp|OpenFile|Rename|WriteFile)\b`)
	for _, folder := range []string{"workers/ingest", "internal/ffmpeg"} {
		err := filepath.WalkDir(filepath.Join(it.Root(), folder), func(name string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
				return err
			}
			b, err := os.ReadFile(name)
			if found := writes.Find(b); found != nil {
				t.Errorf("%s: %s", name, found)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheBuildStepsMakeAProgramThatIsTheSameEachTime runs the first stage in a
// temporary root, twice: what COPY takes by .dockerignore, then each RUN that
// builds.
func TestTheBuildStepsMakeAProgramThatIsTheSameEachTime(t *testing.T) {
	for _, worker := range []string{"ingest", "transcoder"} {
		var built [2][]byte
		for n := range built {
			root := t.TempDir()
			src := filepath.Join(root, "src")
			copyContext(t, src)
			for _, i := range dockerfile(t, worker) {
				command, ok := strings.CutPrefix(i.rest, "CGO_ENABLED=0 ")
				if i.name != "RUN" || !ok {
					continue
				}
				cmd := exec.CommandContext(t.Context(), "bash", "-euc", "CGO_ENABLED=0 "+strings.ReplaceAll(command, "/out/", root+"/out/"))
				cmd.Dir = src
				cmd.Env = append(os.Environ(), "TARGETOS=linux", "TARGETARCH=arm64")
				if b, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %s: %v\n%s", worker, i.rest, err, b)
				}
			}
			var err error
			if built[n], err = os.ReadFile(filepath.Join(root, "out", worker)); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(built[0], built[1]) {
			t.Errorf("two builds of %s differ", worker)
		}
		// ELF, 64 bit, AArch64 (183).
		if h := built[0]; !bytes.HasPrefix(h, []byte("\x7fELF\x02")) || h[18] != 183 {
			t.Errorf("%s is no arm64 program: % x", worker, h[:20])
		}
	}
}

// copyContext copies what an image is built from.
func copyContext(t *testing.T, to string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(it.Root(), ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	var take []string
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "!"); ok {
			take = append(take, name)
		}
	}
	if err := os.MkdirAll(to, 0o750); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-C", it.Root(), "--exclude=testdata", "--exclude=*_test.go", "--exclude=internal/e2e", "-cf", "-"}, take...)
	tar, untar := exec.CommandContext(t.Context(), "tar", args...), exec.CommandContext(t.Context(), "tar", "-C", to, "-xf", "-")
	var archive bytes.Buffer
	tar.Stdout = &archive
	if err := tar.Run(); err != nil {
		t.Fatal(err)
	}
	untar.Stdin = &archive
	if err := untar.Run(); err != nil {
		t.Fatal(err)
	}
}
