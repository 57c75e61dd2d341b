package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A task that cannot do its job says at its start what it lacks.
func TestWithoutAWholeFFmpegItSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	says := func(words ...string) {
		t.Helper()
		err := run(t.Context())
		if err == nil {
			t.Fatal("it works")
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q does not say %q", err, w)
			}
		}
	}
	says("ffmpeg is not whole: ffmpeg, ffprobe")
	for name, script := range map[string]string{
		"ffmpeg": "#!/bin/sh\necho ' V....D libx264 H.264'\necho ' A....D aac AAC'\necho ' VFS..D mjpeg MJPEG'\n", "ffprobe": "#!/bin/sh\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	says("ffmpeg is not whole: encoder libwebp")
}
