package infratest_test

import (
	"bytes"
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
	text := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(b), "")
	text = strings.ReplaceAll(text, "\\\n", " ")
	var list []instruction
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

func TestImagesRunAsNobodyKnowTheirHealthAndHaveFixedBases(t *testing.T) {
	for _, worker := range []string{"ingest", "transcoder"} {
		list := dockerfile(t, worker)
		if last(list, "USER") != "65532:65532" {
			t.Errorf("%s runs as %q", worker, last(list, "USER"))
		}
		if want := `CMD ["/` + worker + `", "healthcheck"]`; !strings.HasSuffix(last(list, "HEALTHCHECK"), want) {
			t.Errorf("%s: health is %q", worker, last(list, "HEALTHCHECK"))
		}
		if last(list, "ENTRYPOINT") != `["/`+worker+`"]` {
			t.Errorf("%s: entry point %q", worker, last(list, "ENTRYPOINT"))
		}
		stages := 0
		for _, i := range list {
			if i.name == "FROM" {
				stages++
				if strings.Contains(i.rest, "latest") || !strings.Contains(i.rest, ":") {
					t.Errorf("%s: base %s floats", worker, i.rest)
				}
			}
			if i.name == "ADD" || i.name == "ENV" && strings.Contains(i.rest, "SECRET") {
				t.Errorf("%s: %s %s", worker, i.name, i.rest)
			}
		}
		if stages != 2 {
			t.Errorf("%s has %d stages", worker, stages)
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
