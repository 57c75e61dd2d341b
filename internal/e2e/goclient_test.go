package e2e

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/client"
	"github.com/roomcast/roomcast/internal/e2e/program"
	"github.com/roomcast/roomcast/internal/mediatest"
)

// forgetful stands before roomcast and loses the answers of the first tries of
// each call, after roomcast has done what was asked.
func forgetful(t *testing.T, m *machine, lose int) *httptest.Server {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: m.http}
	proxy := httputil.NewSingleHostReverseProxy(target)
	var calls atomic.Int64
	proxy.ModifyResponse = func(resp *http.Response) error {
		if int(calls.Add(1))%(lose+1) != 0 {
			_, _ = io.Copy(io.Discard, resp.Body) // roomcast is through with it
			panic(http.ErrAbortHandler)
		}
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server
}

func TestTheGoClientMakesOneRoomWhateverAnswersAreLost(t *testing.T) {
	m := newMachine(t)
	c := m.credentials()
	api, err := client.New(client.Options{
		URL: forgetful(t, m, 2).URL, Auth: client.BasicAuth(c.APIKey, c.APISecret),
		Wait: func(context.Context, time.Duration) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	member, err := api.PutMember(ctx, client.MemberPut{AppUserID: "ada", AppUserName: "Ada"})
	if err != nil || member.AppUserName != "Ada" || member.CreatedAt.IsZero() {
		t.Fatalf("%+v, %v", member, err)
	}
	room, err := api.CreateVideoRoom(ctx, client.RoomCreate{Type: "BROADCAST_RTMP", AppUserID: "ada", Title: "once", ScheduledAt: time.Now()})
	if err != nil || room.VideoRoomState != client.VideoRoomStateSCHEDULED || room.Playback != nil || !room.LiveStartedAt.IsZero() {
		t.Fatalf("%+v, %v", room, err)
	}
	rooms, err := api.ListVideoRooms(ctx, client.ListVideoRoomsParams{AppUserID: "ada", Limit: 10})
	if err != nil || len(rooms.Items) != 1 || rooms.NextCursor != "" {
		t.Fatalf("rooms %+v, %v", rooms, err)
	}
	if _, err := api.StartVideoRoom(ctx, room.ID); !client.HasCode(err, "STREAM_KEY_STATE_NOT_ACTIVE") {
		t.Errorf("started: %v", err)
	}
	if _, err := api.CancelVideoRoom(ctx, room.ID); err != nil {
		t.Errorf("a cancel whose answer was lost is refused: %v", err)
	}
	if err := api.DeleteVideoRoom(ctx, room.ID); err != nil {
		t.Error(err)
	}
	if _, err := api.GetVideoRoom(ctx, room.ID); !client.HasCode(err, "VIDEO_ROOM_NOT_FOUND") {
		t.Errorf("deleted, but %v", err)
	}
	made, err := m.operator.CreateApp(ctx, client.AppCreate{Name: "acme"})
	if err != nil || made.APISecret == "" || made.App.Name != "acme" {
		t.Errorf("%+v, %v", made, err)
	}
}

// liveByExample runs an example while a publisher waits for its address, and
// answers what it said.
func liveByExample(t *testing.T, m *machine, user string, command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out program.Output
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := ""
	eventually(t, time.Minute, "the example says where to stream to", func() error {
		_, rest, _ := strings.Cut(out.String(), "stream to ")
		line, _, whole := strings.Cut(rest, "\n")
		if !whole {
			return context.DeadlineExceeded
		}
		address = line
		return nil
	})
	mediatest.PublishFFmpeg(t, source(t), address)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out.String())
	}
	if k := m.key(user); k.State != "ACTIVE_LIVE" {
		t.Errorf("the key is %s", k.State)
	}
	_, live, _ := strings.Cut(strings.TrimSpace(out.String()), " is live: ")
	mediatest.DecodeStrict(t, live, "-t", "2")
	return out.String()
}

func TestTheGoExampleGoesLive(t *testing.T) {
	m := newMachine(t)
	c := m.credentials()
	example := filepath.Join(t.TempDir(), "example")
	if out, err := exec.Command("go", "build", "-o", example, "../../client/example").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	liveByExample(t, m, "ada", example, "-url", "http://"+m.http, "-key", c.APIKey, "-secret", c.APISecret, "-user", "ada")
}
