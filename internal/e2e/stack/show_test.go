package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast/client"
	"github.com/roomcast/roomcast/cmd/roomcast/sample"
	"github.com/roomcast/roomcast/internal/cost"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// app is one app of the installation, by its own API.
type app struct {
	s   *stack
	api *client.Client
}

func (a app) do(method, path string, in, out any) {
	a.s.t.Helper()
	if err := a.api.Do(a.s.t.Context(), method, path, in, out); err != nil {
		a.s.t.Fatalf("%s %s: %v", method, path, err)
	}
}

type (
	key struct {
		ID        string  `json:"id"`
		State     string  `json:"streamKeyState"`
		IngestURL string  `json:"ingestURL"`
		StreamKey string  `json:"streamKey"`
		Ingest    *ingest `json:"ingest"`
	}
	ingest struct {
		Warnings []string `json:"warnings"`
	}
	playback struct {
		HLSURL *string `json:"hlsURL"`
	}
	room struct {
		ID       string    `json:"id"`
		State    string    `json:"videoRoomState"`
		PostID   *string   `json:"videoPostId"`
		Playback *playback `json:"playback"`
	}
	post struct {
		State      string    `json:"videoPostState"`
		Playback   *playback `json:"playback"`
		Renditions []struct {
			Name string `json:"name"`
		} `json:"renditions"`
		Failure *struct{ Code, Message string } `json:"failure"`
	}
)

// deploy starts everything that template.yaml has, and answers an app on it. The
// schedule ends with the second context.
func (s *stack) deploy(ctx, scheduled context.Context, wg *sync.WaitGroup) (app, *process) {
	s.t.Helper()
	s.build("transcoder")
	api := s.start("Api")
	s.serve(api)
	consumer, outbox, webhook, archiver, sweeper := s.start("StateConsumer"), s.start("Outbox"), s.start("Webhook"), s.start("Archiver"), s.start("Sweeper")
	background := func(what string, run func() error) {
		wg.Go(func() {
			if err := run(); err != nil && ctx.Err() == nil {
				s.t.Errorf("%s: %v", what, err)
			}
		})
	}
	background("state events", func() error { return consumer.consume(ctx, s.names["StateEventsUrl"]) })
	background("deliveries", func() error { return webhook.consume(ctx, s.names["DeliveriesUrl"]) })
	background("jobs", func() error { return archiver.consume(ctx, s.names["JobsUrl"]) })
	background("stream", func() error { return outbox.follow(ctx, s.names["TableStreamArn"], s.counted) })
	s.sweeper = sweeper
	sweeper.process.Deadline = time.Minute // as infra/functions.yaml has it
	background("takes", func() error {
		return sweeper.follow(ctx, s.names["TableStreamArn"], func(string) { s.note("takes") })
	})
	background("schedule", func() error {
		for scheduled.Err() == nil {
			if err := sweeper.invoke(map[string]any{}, nil); err != nil {
				s.t.Logf("a sweep: %v", err) // the next one comes
			}
			select {
			case <-scheduled.Done():
			case <-time.After(time.Minute):
			}
		}
		return nil
	})
	worker := s.ingest()
	operator, err := client.New(client.Options{URL: s.front.URL, Auth: client.BearerToken(operatorToken)})
	if err != nil {
		s.t.Fatal(err)
	}
	var cred struct{ APIKey, APISecret string }
	if err := operator.Do(s.t.Context(), http.MethodPost, "/v2/admin/apps", map[string]any{"name": "shows"}, &cred); err != nil {
		s.t.Fatal(err)
	}
	c, err := client.New(client.Options{URL: s.front.URL, Auth: client.BasicAuth(cred.APIKey, cred.APISecret)})
	if err != nil {
		s.t.Fatal(err)
	}
	return app{s, c}, worker
}

// publish streams the sample until ctx ends.
func (a app) publish(ctx context.Context, wg *sync.WaitGroup, user string) {
	a.s.t.Helper()
	var k key
	a.do(http.MethodGet, "/v2/apps/me/members/"+user+"/stream-key", nil, &k)
	var tags []rtmpout.Tag
	for tag, err := range rtmpout.ReadFLV(bytes.NewReader(sample.FLV)) {
		if err != nil {
			a.s.t.Fatal(err)
		}
		tags = append(tags, tag)
	}
	loop := rtmpout.Loop{URL: strings.TrimSuffix(k.IngestURL, "/") + "/" + k.StreamKey, Tags: tags, Client: rtmpout.Options{Now: time.Now}}
	wg.Go(func() {
		if err := loop.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			a.s.t.Errorf("%s: %v", user, err)
		}
	})
}

func (a app) awaitKey(user, state string) {
	a.s.t.Helper()
	a.s.eventually(patience, user+"'s key is "+state, func() error {
		var k key
		a.do(http.MethodGet, "/v2/apps/me/members/"+user+"/stream-key", nil, &k)
		if k.State != state {
			return fmt.Errorf("it is %s", k.State)
		}
		return nil
	})
}

func (s *stack) get(url string) string {
	s.t.Helper()
	r, err := http.Get(url) //nolint:noctx // a test's own server
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s, %v", url, r.Status, err)
	}
	return string(b)
}

func TestAShowRunsAsItIsDeployedAndCostsWhatTheModelSays(t *testing.T) {
	s := newStack(t)
	var parts, encoders sync.WaitGroup
	running, stop := context.WithCancel(context.Background())
	defer parts.Wait()
	defer stop()
	scheduled, unscheduled := context.WithCancel(running)
	defer unscheduled()
	a, worker := s.deploy(running, scheduled, &parts)

	a.do(http.MethodPost, "/v2/apps/me/members", map[string]any{"appUserId": "ada"}, nil)
	var show room
	a.do(http.MethodPost, "/v2/apps/me/video-rooms", map[string]any{"type": "BROADCAST_RTMP", "appUserId": "ada", "scheduledAt": "2030-01-01T00:00:00Z"}, &show)
	m := s.measure(worker)

	streaming, leave := context.WithCancel(context.Background())
	defer encoders.Wait()
	defer leave()
	a.publish(streaming, &encoders, "ada")
	a.awaitKey("ada", "ACTIVE")
	a.do(http.MethodPost, "/v2/apps/me/video-rooms/"+show.ID+"/start", nil, &show)
	if show.State != "LIVE" || show.Playback == nil || show.Playback.HLSURL == nil {
		t.Fatalf("after the start: %+v", show)
	}
	if master := s.get(*show.Playback.HLSURL); !strings.Contains(master, "#EXT-X-STREAM-INF") {
		t.Errorf("the master playlist is %q", master)
	}
	s.eventually(patience, "segments", func() error {
		if n := len(m.segments()); n < 13 {
			return fmt.Errorf("%d are written", n)
		}
		return nil
	})
	leave()
	encoders.Wait()
	a.awaitKey("ada", "INACTIVE_LIVE")
	a.do(http.MethodPost, "/v2/apps/me/video-rooms/"+show.ID+"/end", nil, &show)
	if show.PostID == nil {
		t.Fatalf("after the end: %+v", show)
	}
	var p post
	s.eventually(3*patience, "the recording is processed", func() error {
		a.do(http.MethodGet, "/v2/apps/me/video-posts/"+*show.PostID, nil, &p)
		if p.State != "PROCESSED" || len(p.Renditions) == 0 {
			return fmt.Errorf("it is %+v", p)
		}
		return nil
	})
	if list := s.get(*p.Playback.HLSURL); !strings.Contains(list, "#EXTM3U") {
		t.Errorf("the recording's playlist is %q", list)
	}
	m.compare(cost.Measured())

	// A customer's endpoint that nobody has: the delivery comes again, in its
	// own time.
	a.do(http.MethodPost, "/v2/apps/me/webhook-endpoints", map[string]any{"url": "https://nowhere.invalid/hook"}, nil)
	a.do(http.MethodPost, "/v2/apps/me/video-rooms", map[string]any{"type": "BROADCAST_RTMP", "appUserId": "ada", "scheduledAt": "2030-01-01T00:00:00Z"}, nil)
	s.eventually(patience, "the delivery is tried", func() error {
		if s.invocations()["Webhook"] == 0 {
			return errors.New("it is not")
		}
		return nil
	})

	a.do(http.MethodDelete, "/v2/apps/me/video-posts/"+*show.PostID, nil, nil)
	s.eventually(patience, "CloudFront forgets the recording", func() error {
		for _, c := range s.gateways["Archiver"].all() {
			if c.name == "cloudfront.CreateInvalidation" && strings.Contains(c.key, "/posts/"+*show.PostID) {
				return nil
			}
		}
		return errors.New("it is not told")
	})

	unscheduled()
	a.die(worker)
	stop()
	s.sweeper.process.Stop()
}

// die publishes a ladder by a worker that dies. Nobody has called the sweeper
// for a while: the table's stream alone does, once for each publish.
func (a app) die(worker *process) {
	t := a.s.t
	t.Helper()
	a.do(http.MethodPost, "/v2/apps/me/members", map[string]any{"appUserId": "bob"}, nil)
	var show room
	a.do(http.MethodPost, "/v2/apps/me/video-rooms", map[string]any{"type": "BROADCAST_RTMP", "appUserId": "bob", "scheduledAt": "2030-01-01T00:00:00Z"}, &show)
	var profile struct{ ID string }
	a.do(http.MethodPost, "/v2/apps/me/transcoding-profiles", map[string]any{
		"type": "BROADCAST_RTMP", "name": "small", "profile": map[string]any{
			"segmentDuration": 2, "videoStreams": []map[string]any{{"name": "180p", "width": 320, "height": 180, "bitrate": 200_000}},
			"audioStream": map[string]any{"bitrate": 64_000},
		},
	}, &profile)
	var k key
	a.do(http.MethodGet, "/v2/apps/me/members/bob/stream-key", nil, &k)
	a.do(http.MethodPatch, "/v2/apps/me/stream-keys/"+k.ID, map[string]any{"transcodingProfileId": profile.ID}, nil)
	before := a.s.invocations()

	var encoders sync.WaitGroup
	streaming, leave := context.WithCancel(context.Background())
	defer encoders.Wait()
	defer leave()
	a.publish(streaming, &encoders, "bob")
	a.awaitKey("bob", "ACTIVE")
	a.do(http.MethodPost, "/v2/apps/me/video-rooms/"+show.ID+"/start", nil, &show)
	if master := a.s.get(*show.Playback.HLSURL); !strings.Contains(master, "RESOLUTION=320x180") {
		a.do(http.MethodGet, "/v2/apps/me/members/bob/stream-key", nil, &k)
		t.Errorf("the worker publishes no ladder: %q, ingest %+v", master, k.Ingest)
	}
	if err := worker.cmd.Process.Signal(syscall.SIGSTOP); err != nil { // it tells nobody
		t.Fatal(err)
	}
	died := time.Now()
	leave()
	if err := worker.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	a.s.eventually(45*time.Second, "the dead worker's key is INACTIVE_LIVE", func() error {
		if a.do(http.MethodGet, "/v2/apps/me/members/bob/stream-key", nil, &k); k.State != "INACTIVE_LIVE" {
			return fmt.Errorf("it is %s", k.State)
		}
		return nil
	})
	t.Logf("known after %s", time.Since(died))
	if got := a.s.invocations(); got["takes"] != before["takes"]+1 || before["takes"] != 1 || got["Sweeper"] != before["Sweeper"]+1 {
		t.Errorf("before %v, after one more publish %v", before, got)
	}
}
