package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/roomcast/roomcast/client"
	"github.com/roomcast/roomcast/cmd/roomcast/sample"
	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

const (
	demoMember = "demo"
	demoPoll   = 100 * time.Millisecond
	// demoPatience is how long the demo waits for what takes 2 s.
	demoPatience = 30 * time.Second
)

type demoCmd struct {
	running
}

// Run publishes until SIGINT or SIGTERM, then ends the show.
func (c *demoCmd) Run() error {
	settings, creds, err := c.connect()
	if err != nil {
		return err
	}
	api, err := client.New(client.Options{URL: "http://" + settings.Local(), Auth: client.BasicAuth(creds.APIKey, creds.APISecret), Tries: cliTries})
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	d := demo{api: api}
	if err := d.prepare(ctx); err != nil {
		return fmt.Errorf("%w: is 'roomcast up' running at %s?", err, settings.Local())
	}
	published := make(chan error, 1)
	go func() { published <- d.publish(ctx) }()
	live := d.goLive(ctx)
	if live != nil && ctx.Err() == nil {
		cancel()
		return errors.Join(live, <-published)
	}
	if live == nil {
		fmt.Printf("\n  LIVE: %s/watch/%s\n\nCtrl-C ends the show.\n", api.URL, d.room.ID)
	}
	err = <-published
	if !errors.Is(err, context.Canceled) {
		return fmt.Errorf("publish the sample: %w", err)
	}
	return d.end()
}

// demo is one show of the built-in sample.
type demo struct {
	api  *client.Client
	key  demoKey
	room struct {
		ID string `json:"id"`
	}
}

type demoKey struct {
	State       broadcast.KeyState `json:"streamKeyState"`
	IngestURL   string             `json:"ingestURL"`
	StreamKey   string             `json:"streamKey"`
	VideoRoomID *string            `json:"videoRoomId"`
}

// prepare makes the member and the room; a show that an earlier demo left
// live is gone on with.
func (d *demo) prepare(ctx context.Context) error {
	member := map[string]string{"appUserId": demoMember, "appUserName": "Demo"}
	if err := d.api.Do(ctx, http.MethodPost, "/v2/apps/me/members", member, nil); err != nil {
		return err
	}
	if err := d.readKey(ctx); err != nil {
		return err
	}
	if d.key.VideoRoomID != nil {
		d.room.ID = *d.key.VideoRoomID
		return nil
	}
	room := map[string]string{
		"type": "BROADCAST_RTMP", "appUserId": demoMember, "title": "roomcast demo",
		"scheduledAt": time.Now().UTC().Format(time.RFC3339),
	}
	return d.api.Do(ctx, http.MethodPost, "/v2/apps/me/video-rooms", room, &d.room)
}

func (d *demo) readKey(ctx context.Context) error {
	return d.api.Do(ctx, http.MethodGet, "/v2/apps/me/members/"+demoMember+"/stream-key", nil, &d.key)
}

func (d *demo) publish(ctx context.Context) error {
	var tags []rtmpout.Tag
	for tag, err := range rtmpout.ReadFLV(bytes.NewReader(sample.FLV)) {
		if err != nil {
			return fmt.Errorf("read the sample: %w", err)
		}
		tags = append(tags, tag)
	}
	loop := rtmpout.Loop{
		URL: d.key.IngestURL + "/" + d.key.StreamKey, Tags: tags, Reconnect: true,
		Client:    rtmpout.Options{Now: time.Now, Software: "roomcast demo"},
		Connected: func() { fmt.Println("publishing the sample") },
		Retrying:  func(err error, pause time.Duration) { fmt.Printf("%v: again in %s\n", err, pause) },
	}
	return loop.Run(ctx)
}

// goLive starts the room as soon as the stream can be watched.
func (d *demo) goLive(ctx context.Context) error {
	if err := d.await(ctx, broadcast.KeyActive, broadcast.KeyActiveLive); err != nil {
		return err
	}
	if d.key.State == broadcast.KeyActiveLive {
		return nil
	}
	return d.api.Do(ctx, http.MethodPost, "/v2/apps/me/video-rooms/"+d.room.ID+"/start", nil, nil)
}

// await waits until the key is in one of the states.
func (d *demo) await(ctx context.Context, states ...broadcast.KeyState) error {
	until := time.Now().Add(demoPatience)
	for {
		if err := d.readKey(ctx); err != nil {
			return err
		}
		for _, s := range states {
			if d.key.State == s {
				return nil
			}
		}
		if time.Now().After(until) {
			return fmt.Errorf("the stream key is %s, not %s, after %s", d.key.State, states[0], demoPatience)
		}
		if err := sleep(ctx, demoPoll); err != nil {
			return err
		}
	}
}

// end ends the show when its publisher is gone.
func (d *demo) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), demoPatience)
	defer cancel()
	if err := d.await(ctx, broadcast.KeyInactiveLive, broadcast.KeyInactive); err != nil {
		return fmt.Errorf("end the show: %w", err)
	}
	if d.key.State == broadcast.KeyInactiveLive {
		if err := d.api.Do(ctx, http.MethodPost, "/v2/apps/me/video-rooms/"+d.room.ID+"/end", nil, nil); err != nil {
			return fmt.Errorf("end the show: %w", err)
		}
	}
	fmt.Println("the show has ended")
	return nil
}
