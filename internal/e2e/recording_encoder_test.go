package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/mediatest"
)

// lacking makes a folder with ffprobe and an ffmpeg that has every encoder but
// one.
func lacking(t *testing.T, encoder string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	whole, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal(err)
	}
	probe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\n" + whole + ` "$@" | /bin/grep -v "` + encoder + "\"\n"
	if err := os.WriteFile(filepath.Join(dir, "ffmpeg"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(probe, filepath.Join(dir, "ffprobe")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Where an encoder is missing, the operator is told at the start; recordings can
// be watched, and their originals fetched.
func TestWithoutAnEncoderARecordingStaysPlayable(t *testing.T) {
	src := mediatest.Generate(t, mediatest.Spec{Duration: 6 * time.Second})
	m := newMachine(t, "PATH="+lacking(t, "libwebp"))
	for _, words := range []string{"nothing is transcoded; install ffmpeg", "encoder libwebp"} {
		if !strings.Contains(m.out.String(), words) {
			t.Errorf("%q was not said:\n%s", words, m.out.String())
		}
	}
	key, show := m.member("ada"), m.newRoom("ada")
	encoder := publishOnce(t, src, key.url())
	m.awaitKey("ada", "ACTIVE", 15*time.Second)
	m.roomDo(show.ID, "start", nil)
	if err := encoder.Wait(); err != nil {
		t.Fatal(err, encoder.Log())
	}
	m.awaitKey("ada", "INACTIVE_LIVE", 10*time.Second)
	r := m.roomDo(show.ID, "end", nil)
	p := m.awaitPost(*r.VideoPostID, "uploaded", 20*time.Second, func(p post) bool { return p.State == "UPLOADED" })
	if p.Playback == nil || p.Source == nil || p.Failure != nil {
		t.Fatalf("%+v", p)
	}
	for _, url := range []string{*p.Playback.HLSURL, *p.Playback.DASHURL, p.Source.URL} {
		mediatest.DecodeStrict(t, url)
	}
	if r := m.room(show.ID); r.State != "ARCHIVED" || r.VODState != "ARCHIVED" {
		t.Errorf("the room is %s, %s", r.State, r.VODState)
	}
}
