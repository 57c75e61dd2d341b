package e2e

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/localstacktest"
	"github.com/roomcast/roomcast/internal/mediatest"
)

// patience is for another process on other people's machines: LocalStack needs
// tens of milliseconds for what AWS does in a few.
const patience = 45 * time.Second

// installation is what infra/data.yaml and infra/queues.yaml make in LocalStack,
// as the environment of a process that runs on it.
func installation(t *testing.T) []string {
	t.Helper()
	account := localstacktest.New(t)
	data, queues := account.Deploy(t, "data"), account.Deploy(t, "queues")
	return []string{
		"ROOMCAST_BACKEND=aws", "AWS_ENDPOINT_URL=" + localstacktest.Endpoint, "AWS_ENDPOINT_URL_DYNAMODB=" + localstacktest.DynamoDB(t), "AWS_REGION=" + localstacktest.Region,
		"AWS_ACCESS_KEY_ID=" + account.AccessKey, "AWS_SECRET_ACCESS_KEY=" + account.SecretKey, "AWS_EC2_METADATA_DISABLED=true",
		"ROOMCAST_TABLE=" + data["TableName"], "ROOMCAST_MEDIA_BUCKET=" + data["MediaBucket"],
		"ROOMCAST_STATE_EVENTS_URL=" + queues["StateEventsUrl"],
	}
}

func TestTheShowRunsOnDynamoDBSQSAndS3(t *testing.T) {
	m := newMachine(t, installation(t)...)
	key := m.member("alice")
	show := m.newRoom("alice")
	m.refused("STREAM_KEY_STATE_NOT_ACTIVE", http.MethodPost, "/v2/apps/me/video-rooms/"+show.ID+"/start", nil)
	encoder := mediatest.PublishFFmpeg(t, source(t), key.url())
	m.awaitKey("alice", "ACTIVE", patience)
	live := m.roomDo(show.ID, "start", nil)
	mediatest.DecodeStrict(t, *live.Playback.HLSURL, "-t", "4")
	pages := play(t, m, show.ID)
	plays(t, pages, 6, patience)

	encoder.Kill()
	m.awaitKey("alice", "INACTIVE_LIVE", patience)
	encoder = mediatest.PublishFFmpeg(t, source(t), key.url())
	m.awaitKey("alice", "ACTIVE_LIVE", patience)

	m.kill()
	encoder.Kill()
	m.start()
	mediatest.PublishFFmpeg(t, source(t), key.url())
	m.awaitKey("alice", "ACTIVE_LIVE", patience)
	if again := m.room(show.ID); again.State != "LIVE" || *again.Playback.HLSURL != *live.Playback.HLSURL {
		t.Fatalf("after the power cut: %+v", again)
	}
	reset(t, pages)
	plays(t, pages, 5, patience)

	m.roomDo(show.ID, "end", map[string]bool{"force": true})
	eventually(t, patience, "the playlist is closed", func() error {
		if !strings.Contains(body(t, media(*live.Playback.HLSURL)), "#EXT-X-ENDLIST") {
			return errors.New("no ENDLIST")
		}
		return nil
	})
	if fresh := m.key("alice"); fresh.StreamKey == key.StreamKey || fresh.State != "INACTIVE" {
		t.Fatalf("the key after the force end: %+v", fresh)
	}
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "media" || strings.HasPrefix(e.Name(), "roomcast.db") {
			t.Errorf("%s lies on this machine", e.Name())
		}
	}
}

func TestAnEncoderReturnsOnTheOtherWorkerAndTheFirstOneOverwritesNothing(t *testing.T) {
	env := installation(t)
	first, second := newMachine(t, env...), newMachine(t, env...)
	first.member("bob")
	show := first.newRoom("bob")
	encoder := mediatest.PublishFFmpeg(t, source(t), first.key("bob").url())
	first.awaitKey("bob", "ACTIVE", patience)
	first.roomDo(show.ID, "start", nil)
	pages := play(t, second, show.ID)
	plays(t, pages, 5, patience)

	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	encoder.Kill()
	mediatest.PublishFFmpeg(t, source(t), second.key("bob").url())
	playlist := media(*second.room(show.ID).Playback.HLSURL)
	before := segments(t, body(t, playlist))
	stale, _, _ := strings.Cut(before[newest(before)], "/")
	eventually(t, patience, "the second worker goes on", func() error {
		if now := segments(t, body(t, playlist)); newest(now) < newest(before)+2 {
			return fmt.Errorf("segment %d, then %d", newest(before), newest(now))
		}
		return nil
	})
	reset(t, pages)
	plays(t, pages, 5, patience)

	known := segments(t, body(t, playlist))
	from := newest(known)
	if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		now := segments(t, body(t, playlist))
		if newest(now) < newest(known) {
			t.Fatalf("the playlist went back from segment %d to %d", newest(known), newest(now))
		}
		for n, name := range now {
			if was, ok := known[n]; ok && was != name {
				t.Fatalf("segment %d was %s and is %s", n, was, name)
			}
			if n > from && strings.HasPrefix(name, stale+"/") {
				t.Fatalf("the first worker wrote segment %d, %s", n, name)
			}
			known[n] = name
		}
	}
	if newest(known) == from {
		t.Error("the second worker does not go on")
	}
	if k := second.key("bob"); k.State != "ACTIVE_LIVE" {
		t.Fatalf("the key afterwards: %+v", k)
	}
	reset(t, pages)
	plays(t, pages, 4, patience)
}

// segments are the names in a live playlist by their media sequence number.
func segments(t *testing.T, playlist string) map[int]string {
	t.Helper()
	names, next := map[int]string{}, -1
	for line := range strings.Lines(playlist) {
		line = strings.TrimSpace(line)
		if n, ok := strings.CutPrefix(line, "#EXT-X-MEDIA-SEQUENCE:"); ok {
			var err error
			if next, err = strconv.Atoi(n); err != nil {
				t.Fatal(err)
			}
		}
		if line != "" && line[0] != '#' {
			names[next] = line
			next++
		}
	}
	if next < 0 || len(names) == 0 {
		t.Fatalf("no live playlist: %q", playlist)
	}
	return names
}

func newest(segments map[int]string) int { return slices.Max(slices.Collect(maps.Keys(segments))) }

func TestAWrongAWSInstallationIsSaidInClearLines(t *testing.T) {
	good := installation(t)
	for name, c := range map[string]struct {
		env  []string
		says []string
	}{
		"no settings": {
			[]string{"ROOMCAST_TABLE=", "ROOMCAST_MEDIA_BUCKET=", "ROOMCAST_STATE_EVENTS_URL=x"},
			[]string{"ROOMCAST_TABLE", "ROOMCAST_MEDIA_BUCKET", "ROOMCAST_STATE_EVENTS_URL"},
		},
		"nothing is there": {
			[]string{"ROOMCAST_TABLE=none", "ROOMCAST_MEDIA_BUCKET=no-such-bucket"},
			[]string{"DynamoDB table none", "S3 bucket no-such-bucket does not exist"},
		},
		"wrong region":   {[]string{"AWS_REGION=eu-west-1"}, []string{"DynamoDB table", "region eu-west-1"}},
		"no region":      {[]string{"AWS_REGION=", "AWS_CONFIG_FILE=/dev/null"}, []string{"AWS_REGION"}},
		"no credentials": {[]string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_CONFIG_FILE=/dev/null"}, []string{"no AWS credentials"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			cmd := exec.CommandContext(t.Context(), binary, "up", "--data", dir, "--http", "127.0.0.1:0", "--rtmp", "127.0.0.1:0")
			cmd.Env = append(append(os.Environ(), good...), c.env...)
			b, err := cmd.CombinedOutput()
			if err == nil || cmd.ProcessState.ExitCode() != 1 {
				t.Fatalf("exit code %d", cmd.ProcessState.ExitCode())
			}
			out := string(b)
			for _, s := range c.says {
				if !strings.Contains(out, s) {
					t.Errorf("%q is missing in %q", s, out)
				}
			}
			if strings.Contains(out, "goroutine") || strings.Count(strings.TrimSpace(out), "\n") > 3 {
				t.Errorf("more than clear lines: %q", out)
			}
			if _, err := os.Stat(filepath.Join(dir, "credentials.json")); err == nil {
				t.Error("a part has started: credentials.json is there")
			}
		})
	}
}
