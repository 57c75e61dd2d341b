package job

import (
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"testing"
)

// luma is a picture of a file, n from the first one, in grey.
func luma(t *testing.T, file string, n int) []byte {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-i", file, "-vf", fmt.Sprintf("select=eq(n\\,%d),scale=160:90,format=gray", n),
		"-frames:v", "1", "-f", "rawvideo", "-").Output()
	if err != nil || len(out) != 160*90 {
		t.Fatalf("picture %d of %s: %d bytes, %v", n, file, len(out), err)
	}
	return out
}

// apart is how far two pictures are from each other, 0 to 255.
func apart(a, b []byte) (mean float64) {
	for i := range a {
		mean += math.Abs(float64(a[i])-float64(b[i])) / float64(len(a))
	}
	return mean
}

// A show often begins with a black picture; where there is no other one, it is
// taken.
func TestTheThumbnailIsTheFirstPictureThatIsNotBlack(t *testing.T) {
	const fps, dark = 25, 30
	for name, c := range map[string]struct {
		then  string
		shown int
	}{
		"black, then a picture": {"testsrc2=s=320x180:r=25:d=1", dark},
		"black all along":       {"color=black:s=320x180:r=25:d=1", 0},
	} {
		t.Run(name, func(t *testing.T) {
			src := filepath.Join(t.TempDir(), "black.mp4")
			out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", fmt.Sprintf("color=black:s=320x180:r=%d:d=%f", fps, float64(dark)/fps), "-f", "lavfi", "-i", c.then,
				"-filter_complex", "[0][1]concat", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "25", src).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			f, done := processed(t, src)
			thumbnail := luma(t, f.path(done.ThumbnailKey), 0)
			if d := apart(thumbnail, luma(t, src, c.shown)); d > 6 {
				t.Errorf("the thumbnail is %.1f from picture %d", d, c.shown)
			}
			if d := apart(luma(t, src, 0), luma(t, src, dark)); c.shown > 0 && d < 30 {
				t.Errorf("the pictures are %.1f from each other: nothing is proved", d)
			}
		})
	}
}
