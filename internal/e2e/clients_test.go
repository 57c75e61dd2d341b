package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/e2e/program"
	"github.com/roomcast/roomcast/internal/mediatest"
)

// Encoders that nobody here wrote, ffmpeg aside: GStreamer's own RTMP, and
// librtmp behind its older sink.
func TestOtherEncodersArePublishedWhole(t *testing.T) {
	file := mediatest.Generate(t, mediatest.Spec{Duration: 10 * time.Second})
	for name, sink := range map[string]string{
		"rtmp2sink": "rtmp2sink sync=true location=%s",
		"librtmp":   "rtmpsink sync=true location=%s",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			key, show := m.member("alice"), m.newRoom("alice")
			pipeline := fmt.Sprintf("filesrc location=%s ! flvdemux name=in  flvmux name=out streamable=true ! "+sink+
				"  in.video ! queue ! h264parse ! out.  in.audio ! queue ! aacparse ! out.", file, key.url())
			cmd := exec.Command("gst-launch-1.0", append([]string{"-e"}, strings.Fields(pipeline)...)...)
			var said program.Output
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := cmd.Start(); err != nil {
				t.Fatalf("%v: `make deps` installs it", err)
			}
			m.awaitKey("alice", "ACTIVE", 20*time.Second)
			live := m.roomDo(show.ID, "start", nil)
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v\n%s", err, said.String())
			}
			m.awaitKey("alice", "INACTIVE_LIVE", 10*time.Second)
			if k := m.key("alice"); k.LastError != nil {
				t.Errorf("last error %v", k.LastError)
			}
			m.call(http.MethodPost, "/v2/apps/me/video-rooms/"+show.ID+"/end", nil, nil)
			eventually(t, 5*time.Second, "the playlist is closed", func() error {
				if !strings.Contains(body(t, media(*live.Playback.HLSURL)), "#EXT-X-ENDLIST") {
					return fmt.Errorf("no ENDLIST")
				}
				return nil
			})
			mediatest.DecodeStrict(t, *live.Playback.HLSURL)
			mediatest.DecodeStrict(t, *live.Playback.DASHURL)
			got, want := mediatest.FrameMD5(t, *live.Playback.HLSURL), mediatest.FrameMD5(t, file)
			if !slices.Equal(got, want) {
				t.Errorf("%d pictures of %s came out, the source has %d", len(got), filepath.Base(file), len(want))
			}
		})
	}
}
