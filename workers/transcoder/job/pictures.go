package job

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ffmpeg"
)

// The sprite: at most spriteColumns × spriteColumns pictures.
const (
	spriteColumns = 10
	spriteWidth   = 160
	spriteEvery   = 2 * time.Second
)

// pictures makes thumbnail, preview and sprite. One that cannot be made is
// left out: the recording is worth more than its pictures.
func (w *work) pictures(ctx context.Context, done *control.Processed) {
	picture := func(name string, args func(out string) []string) string {
		path := filepath.Join(w.dir, name)
		err := w.make(ctx, path, args, func(args []string) error {
			if err := w.Tool.Run(ctx, args, nil); err != nil {
				return err
			}
			_, err := os.Stat(args[len(args)-1]) // no picture was selected
			return err
		})
		if err == nil {
			err = w.put(ctx, w.task.Folder+name, path)
		}
		if err != nil {
			w.Log.WarnContext(ctx, "a picture is left out", "post", w.task.PostID, "picture", name, "err", err)
			return ""
		}
		return w.task.Folder + name
	}
	thumbnail, preview := ffmpeg.Box(w.task.Thumbnail), ffmpeg.Box(w.task.Preview)
	done.ThumbnailKey = picture("thumbnail.jpg", func(out string) []string { return ffmpeg.Thumbnail(w.source, thumbnail, out) })
	if done.ThumbnailKey == "" { // all black
		done.ThumbnailKey = picture("thumbnail.jpg", func(out string) []string { return ffmpeg.FirstPicture(w.source, thumbnail, out) })
	}
	from := max(0, min(w.media.Duration.Seconds()/10, w.media.Duration.Seconds()-3))
	done.PreviewKey = picture("preview.webp", func(out string) []string { return ffmpeg.Preview(w.source, from, preview, out) })

	g := newGrid(w.media.Duration, w.media.Video.WidthPixels, w.media.Video.HeightPixels)
	done.SpriteKey = picture("sprite.jpg", func(out string) []string {
		return ffmpeg.Sprite(w.source, g.every.Seconds(), g.columns, g.rows, g.width, g.height, out)
	})
	if done.SpriteKey != "" {
		path := filepath.Join(w.dir, "sprite.vtt")
		err := os.WriteFile(path, []byte(g.vtt("sprite.jpg")), 0o600)
		if err == nil {
			err = w.put(ctx, w.task.Folder+"sprite.vtt", path)
		}
		if err == nil {
			done.SpriteVTTKey = w.task.Folder + "sprite.vtt"
		}
	}
}

// grid is how a sprite's pictures lie.
type grid struct {
	every                time.Duration
	count, columns, rows int
	width, height        int
	length               time.Duration
}

func newGrid(length time.Duration, width, height int) grid {
	g := grid{every: spriteEvery, length: length, width: spriteWidth}
	if most := time.Duration(spriteColumns * spriteColumns); length > g.every*most {
		g.every = (length/most + time.Second).Truncate(time.Second)
	}
	g.count = max(int(math.Ceil(float64(length)/float64(g.every))), 1)
	g.columns = min(g.count, spriteColumns)
	g.rows = (g.count + g.columns - 1) / g.columns
	g.height = max(spriteWidth*height/max(width, 1)/2*2, 2)
	return g
}

// vtt cuts the pictures out of the sprite (WebVTT with media fragments).
func (g grid) vtt(sprite string) string {
	var b strings.Builder
	b.WriteString("WEBVTT\n")
	for i := range g.count {
		from := time.Duration(i) * g.every
		fmt.Fprintf(&b, "\n%s --> %s\n%s#xywh=%d,%d,%d,%d\n", clock(from), clock(min(from+g.every, max(g.length, from+time.Millisecond))),
			sprite, i%g.columns*g.width, i/g.columns*g.height, g.width, g.height)
	}
	return b.String()
}

func clock(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d:%02d.%03d", d/time.Hour, d/time.Minute%60, d/time.Second%60, d/time.Millisecond%1000)
}
