package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/cmd/roomcast/sample"
	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// startMachine runs a whole machine in this process, with these limits of
// viewers; 0 = the default.
func startMachine(t *testing.T, viewers, perAddress int) *machine {
	t.Helper()
	settings, err := config.LoadUp(config.Up{
		Data: t.TempDir(), HTTP: "127.0.0.1:0", RTMP: "127.0.0.1:0", MaxViewers: viewers, MaxViewersPerAddress: perAddress,
	}, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	m, err := start(context.Background(), settings, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := m.stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return m
}

// tags are the first seconds of the sample.
func tags(t *testing.T, of time.Duration) []rtmpout.Tag {
	t.Helper()
	var all []rtmpout.Tag
	for tag, err := range rtmpout.ReadFLV(bytes.NewReader(sample.FLV)) {
		if err != nil {
			t.Fatal(err)
		}
		if time.Duration(tag.TimestampMS)*time.Millisecond > of {
			break
		}
		if tag.Type != rtmpout.TypeData {
			all = append(all, tag)
		}
	}
	return all
}

func TestEveryModeHasItsOutputsAndNoOthers(t *testing.T) {
	m := startMachine(t, 0, 0)
	media := tags(t, 5*time.Second)
	unset := broadcast.Mode("")
	modes := []broadcast.Mode{broadcast.ModeRTMP, broadcast.ModeCMAF, broadcast.ModeRTMPCMAF}
	spelled := map[broadcast.Mode][2]string{
		broadcast.ModeRTMP: {"?mode=RTMP", "?mode=rtmp"}, broadcast.ModeCMAF: {"?mode=cmaf", "?a=b&mode=CMAF"},
		broadcast.ModeRTMPCMAF: {"?MODE=Rtmp_Cmaf", "?mode=RTMP_CMAF"},
	}
	places := make(chan struct{}, 6) // publishers at a time
	for i, app := range modes {
		owner := newApp(t, m, app)
		for _, key := range append([]broadcast.Mode{unset}, modes...) {
			for n, url := range append([]broadcast.Mode{unset}, modes...) {
				want := app
				if key != unset {
					want = key
				}
				text := ""
				if url != unset {
					want, text = url, spelled[url][(n+i)%2]
				}
				t.Run(fmt.Sprintf("app %s key %s url %s", app, key, url), func(t *testing.T) {
					t.Parallel()
					places <- struct{}{}
					defer func() { <-places }()
					k := owner.key(t, strings.ToLower(fmt.Sprintf("m-%s-%s", key, url)), key)
					c := push(t, m, "live/"+k.String+text, media)
					defer c.Abort()
					outputs(t, owner.active(t, k.Key.ID), want)
				})
			}
		}
	}
}

// owner acts for one app.
type owner struct {
	m *machine
	c control.Caller
}

func newApp(t *testing.T, m *machine, mode broadcast.Mode) owner {
	t.Helper()
	app, _, _, err := m.service.CreateApp(t.Context(), control.Actor{Kind: "operator"}, "app "+string(mode))
	if err != nil {
		t.Fatal(err)
	}
	o := owner{m, control.Caller{AppID: app.ID, Actor: control.Actor{Kind: "api_key"}}}
	var p control.AppPatch
	p.DefaultOutputMode.Set, p.DefaultOutputMode.Value = true, &mode
	if _, err := m.service.UpdateApp(t.Context(), o.c, p); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o owner) key(t *testing.T, user string, mode broadcast.Mode) control.KeyView {
	t.Helper()
	if _, _, err := o.m.service.PutMember(t.Context(), o.c, control.MemberInput{AppUserID: user}); err != nil {
		t.Fatal(err)
	}
	k, err := o.m.service.KeyOfMember(t.Context(), o.c, user)
	if err == nil && mode != "" {
		var p control.KeyPatch
		p.OutputMode.Set, p.OutputMode.Value = true, &mode
		k, err = o.m.service.UpdateKey(t.Context(), o.c, k.Key.ID, p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (o owner) find(t *testing.T, id broadcast.KeyID) control.KeyView {
	t.Helper()
	k, err := o.m.service.Key(t.Context(), o.c, id)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (o owner) active(t *testing.T, id broadcast.KeyID) control.KeyView {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		k := o.find(t, id)
		if k.Key.State == broadcast.KeyActive {
			return k
		}
		if time.Now().After(deadline) {
			t.Fatalf("the key is %s: %+v", k.Key.State, k.Key.LastError)
		}
	}
}

// push publishes media as fast as they are taken.
func push(t *testing.T, m *machine, path string, media []rtmpout.Tag) *rtmpout.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := rtmpout.Dial(ctx, m.urls.RTMP+"/"+path, rtmpout.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range media {
		if err := c.Write(g.Type, g.TimestampMS, g.Payload); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// outputs checks that the key has exactly the outputs of the mode and that
// exactly those play.
func outputs(t *testing.T, k control.KeyView, want broadcast.Mode) {
	t.Helper()
	if k.Key.Mode != want {
		t.Fatalf("mode %s, want %s", k.Key.Mode, want)
	}
	p := *k.Playback
	for what, u := range map[string]struct {
		url string
		has bool
	}{"HLS": {p.HLSURL, want.CMAF()}, "DASH": {p.DASHURL, want.CMAF()}, "RTMP": {p.RTMPURL, want.RTMP()}, "HTTP-FLV": {p.HTTPFLVURL, want.RTMP()}} {
		if (u.url != "") != u.has {
			t.Errorf("%s: the URL is %q", what, u.url)
		}
	}
	// Where a mode has no URL, its form is known all the same.
	base := strings.NewReplacer("http://", "", "rtmp://", "")
	host := base.Replace(strings.TrimSuffix(k.IngestURL, "/live"))
	id := string(k.Lease.PlayID)
	var web string
	for _, u := range []string{p.HLSURL, p.HTTPFLVURL} {
		if u != "" {
			web = "http://" + strings.SplitN(base.Replace(u), "/", 2)[0]
		}
	}
	for path, has := range map[string]bool{
		"/live/" + id + "/master.m3u8": want.CMAF(), "/live/" + id + "/manifest.mpd": want.CMAF(), "/flv/" + id + ".flv": want.RTMP(),
	} {
		status, body := fetch(t, web+path)
		if has && (status != http.StatusOK || len(body) < 13) || !has && status != http.StatusNotFound {
			t.Errorf("%s: %d, %d bytes", path, status, len(body))
		}
	}
	code, err := playRTMP(host, "play", id)
	if err != nil || (code == "NetStream.Play.Start") != want.RTMP() || !want.RTMP() && code != "NetStream.Play.StreamNotFound" {
		t.Errorf("play: %s, %v", code, err)
	}
	if code, err := playRTMP(host, "play", k.String); code != "NetStream.Play.StreamNotFound" {
		t.Errorf("play through the stream key: %s, %v", code, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := rtmpout.Dial(ctx, "rtmp://"+host+"/live/"+id, rtmpout.Options{Now: time.Now})
	if err == nil {
		c.Abort()
		t.Error("the play id lets publish")
	}
}

// fetch reads the first 2 KB at most.
func fetch(t *testing.T, url string) (int, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body := make([]byte, 2048)
	n, err := io.ReadFull(resp.Body, body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return resp.StatusCode, body[:n]
}

// playRTMP is a player as small as can be: it answers the first status of its
// play command; for Start only once media follow.
func playRTMP(host, app, name string) (string, error) {
	conn, code, err := openRTMP(host, app, name)
	if conn != nil {
		_ = conn.Close()
	}
	return code, err
}

// openRTMP is playRTMP that leaves the connection open; nil where there is none.
func openRTMP(host, app, name string) (net.Conn, string, error) {
	conn, err := net.Dial("tcp", host)
	if err != nil {
		return nil, "", err
	}
	code, err := playOn(conn, app, name)
	return conn, code, err
}

func playOn(conn net.Conn, app, name string) (string, error) {
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	hello := make([]byte, 1+1536)
	hello[0] = 3
	_, _ = conn.Write(hello)
	if _, err := io.ReadFull(conn, make([]byte, 1+1536+1536)); err != nil {
		return "", err
	}
	text := func(s string) string { return "\x02" + string([]byte{byte(len(s) >> 8), byte(len(s))}) + s }
	number := func(n byte) string { return "\x00\x3f\xf0\x00\x00\x00\x00\x00" + string(n) }
	connect := text("connect") + number(0) + "\x03\x00\x03app" + text(app) + "\x00\x00\x09"
	play := text("play") + number(0) + "\x05" + text(name)
	out := string(make([]byte, 1536))
	for i, body := range []string{connect, text("createStream") + number(0) + "\x05", play} {
		head := []byte{3, 0, 0, 0, 0, 0, byte(len(body)), 20, byte(i / 2), 0, 0, 0}
		out += string(head) + body
	}
	if _, err := conn.Write([]byte(out)); err != nil {
		return "", err
	}
	var got []byte
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		got = append(got, buf[:n]...)
		for _, code := range []string{"NetStream.Play.StreamNotFound", "NetStream.Play.Failed", "NetConnection.Connect.Rejected"} {
			if bytes.Contains(got, []byte(code)) {
				return code, nil
			}
		}
		if i := bytes.Index(got, []byte("NetStream.Play.Start")); i >= 0 && len(got) > i+2000 {
			return "NetStream.Play.Start", nil
		}
		if err != nil {
			return "", fmt.Errorf("after %d bytes: %w", len(got), err)
		}
	}
}
