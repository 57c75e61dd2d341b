// Command example goes live with the Go client: it makes a member and a room,
// says where to stream to, and starts the room as soon as somebody streams.
//
//	go run ./client/example -key ak_… -secret … -user ada
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/roomcast/roomcast/client"
)

func main() {
	url := flag.String("url", "http://127.0.0.1:8080", "where roomcast is")
	key := flag.String("key", "", "apiKey of the app")
	secret := flag.String("secret", "", "apiSecret of the app")
	user := flag.String("user", "ada", "appUserId of who streams")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	api, err := client.New(client.Options{URL: *url, Auth: client.BasicAuth(*key, *secret)})
	if err == nil {
		err = goLive(ctx, api, *user)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func goLive(ctx context.Context, api *client.Client, user string) error {
	if _, err := api.PutMember(ctx, client.MemberPut{AppUserID: user}); err != nil {
		return err
	}
	key, err := api.GetStreamKeyOfMember(ctx, user)
	if err != nil {
		return err
	}
	fmt.Printf("stream to %s/%s\n", key.IngestURL, key.StreamKey)

	room, err := api.CreateVideoRoom(ctx, client.RoomCreate{
		Type: "BROADCAST_RTMP", AppUserID: user, Title: "First show", ScheduledAt: time.Now(),
	})
	if err != nil {
		return err
	}
	for {
		live, err := api.StartVideoRoom(ctx, room.ID)
		if err == nil {
			fmt.Printf("%s is live: %s\n", live.ID, live.Playback.HLSURL)
			return nil
		}
		// Nobody streams yet: everything else is final.
		if !client.HasCode(err, "STREAM_KEY_STATE_NOT_ACTIVE") {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}
