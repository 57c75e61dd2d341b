package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/mediatest"
)

// laddered gives a member's key a live profile of 360 and 180 lines.
func (m *machine) laddered(user string) streamKey {
	m.t.Helper()
	type stream struct {
		Name    string `json:"name"`
		Width   int    `json:"width"`
		Height  int    `json:"height"`
		Bitrate int    `json:"bitrate"`
	}
	var made struct{ ID string }
	m.call(http.MethodPost, "/v2/apps/me/transcoding-profiles", map[string]any{
		"type": "BROADCAST_RTMP", "name": "two steps", "profile": map[string]any{
			"segmentDuration": 2, "videoStreams": []stream{{"360p", 640, 360, 1_000_000}, {"180p", 320, 180, 200_000}},
			"audioStream": map[string]int{"bitrate": 96_000},
		},
	}, &made)
	key := m.member(user)
	m.call(http.MethodPatch, "/v2/apps/me/stream-keys/"+key.ID, map[string]string{"transcodingProfileId": made.ID}, nil)
	return m.key(user)
}

// encoders are the children of the process that run ffmpeg.
func (m *machine) encoders() (pids []int) {
	m.t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		m.t.Fatal(err)
	}
	for _, s := range stats {
		b, _ := os.ReadFile(s) // it may have ended
		if _, rest, ok := strings.Cut(string(b), "(ffmpeg) "); ok && len(strings.Fields(rest)) > 1 && strings.Fields(rest)[1] == strconv.Itoa(m.cmd.Process.Pid) && !strings.HasPrefix(rest, "Z") {
			pid, err := strconv.Atoi(strings.Split(s, "/")[2])
			if err != nil {
				m.t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// nices answers how a child's threads stand back, and whether it is a live
// ladder's; none = it has ended.
func nices(t *testing.T, pid int) (list []int, live bool) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d", pid)
	command, _ := os.ReadFile(dir + "/cmdline") // it may have ended, here and below
	threads, err := filepath.Glob(dir + "/task/*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		b, _ := os.ReadFile(thread)
		const nice = 19 - 3 // proc(5) counts from 1; the name is the second
		if i := bytes.LastIndexByte(b, ')'); i >= 0 {
			n, err := strconv.Atoi(strings.Fields(string(b[i+1:]))[nice])
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, n)
		}
	}
	return list, bytes.Contains(command, []byte("\x00pipe:4\x00"))
}

// Whatever a machine has to do: its shows' renditions go before recordings, and
// itself before both.
func TestALiveLadderGoesBeforeRecordings(t *testing.T) {
	src := mediatest.Generate(t, mediatest.Spec{GOP: 25, Duration: 6 * time.Second})
	m := newMachine(t)
	ladder, key, show := m.laddered("ladder"), m.member("ada"), m.newRoom("ada")
	mediatest.PublishFFmpeg(t, src, ladder.url())
	encoder := publishOnce(t, src, key.url())
	m.awaitKey("ada", "ACTIVE", 15*time.Second)
	m.awaitKey("ladder", "ACTIVE", 15*time.Second)
	m.roomDo(show.ID, "start", nil)
	if err := encoder.Wait(); err != nil {
		t.Fatal(err, encoder.Log())
	}
	m.awaitKey("ada", "INACTIVE_LIVE", 15*time.Second)
	recording := *m.roomDo(show.ID, "end", nil).VideoPostID

	seen := map[bool][]int{} // by whether it is live
	known := map[int]bool{}
	m.awaitPost(recording, "processed", time.Minute, func(p post) bool {
		for _, pid := range m.encoders() {
			if list, live := nices(t, pid); known[pid] { // it has not begun just now
				seen[live] = append(seen[live], list...)
			}
			known[pid] = true
		}
		return p.State == "PROCESSED"
	})
	own, err := syscall.Getpriority(syscall.PRIO_PROCESS, m.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	own = 20 - own // as the kernel answers it
	live, job := seen[true], seen[false]
	if len(live) == 0 || len(job) == 0 {
		t.Fatalf("%d threads of ladders were seen, %d of jobs", len(live), len(job))
	}
	t.Logf("the machine %d, ladders %d to %d, jobs %d to %d", own, slices.Min(live), slices.Max(live), slices.Min(job), slices.Max(job))
	if slices.Max(live) >= slices.Min(job) || slices.Min(live) < own || own == 0 && slices.Min(live) == 0 {
		t.Error("they do not stand back as they should")
	}
}
