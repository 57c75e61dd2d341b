package ffmpeg

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/ladder"
	"github.com/roomcast/roomcast/internal/mediatest"
)

// 854 by 480 is no 16:9, and 640 by 360 is.
func TestRenditionsOfSizesThatAreNotQuiteOfOneShapeArePackaged(t *testing.T) {
	source := mediatest.Generate(t, mediatest.Spec{Duration: 2 * time.Second, Width: 854, Height: 480, Container: "mp4"})
	tool, dir := New(t.Context()), t.TempDir()
	run := func(args []string) {
		t.Helper()
		if err := tool.Run(context.Background(), args, nil); err != nil {
			t.Fatal(err)
		}
	}
	var files []string
	for _, r := range []ladder.Rendition{
		{Name: "480p", WidthPixels: 854, HeightPixels: 480, BitrateBPS: 500_000},
		{Name: "360p", WidthPixels: 640, HeightPixels: 360, BitrateBPS: 300_000},
	} {
		files = append(files, filepath.Join(dir, r.Name+".mp4"))
		run(Encode(source, r, 30, 2, files[len(files)-1]))
	}
	run(Package(files, 2, 2, filepath.Join(dir, "manifest.mpd")))
	if _, err := os.Stat(filepath.Join(dir, "master.m3u8")); err != nil {
		t.Error(err)
	}
}
