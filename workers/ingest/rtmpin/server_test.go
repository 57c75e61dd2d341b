package rtmpin

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/rtmpout"
)

func TestMessagesArriveWholeAndInOrder(t *testing.T) {
	h := open(t, Options{})
	c := h.publish("good")
	type sent struct {
		typ       rtmpout.MessageType
		timestamp uint32
		payload   []byte
	}
	var all []sent
	for i, size := range []int{0, 1, 127, 128, 129, 4095, 4096, 4097, 8192, 70_000, 1 << 20, maxMediaBytes} {
		for _, timestamp := range []uint32{uint32(i), 0xfffff6, 0xfffff7, 0xffffff, 0x1000000, 0xffffffff, 5} {
			for _, typ := range []rtmpout.MessageType{rtmpout.TypeVideo, rtmpout.TypeAudio} {
				all = append(all, sent{typ, timestamp + uint32(typ), bytes.Repeat([]byte{byte(i + 1), byte(typ)}, size)[:size]})
			}
			if size > 1<<20 {
				break
			}
		}
	}
	all = append(all, sent{rtmpout.TypeData, 7, []byte("\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09")})
	for _, s := range all {
		if err := c.Write(s.typ, s.timestamp, s.payload); err != nil {
			t.Fatalf("%v\n%s", err, h.log)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if cause, err := h.ends("good"); cause != EndUnpublish || err != nil {
		t.Errorf("ended as %v, %v", cause, err)
	}
	got := h.guests["good"].messages
	if len(got) != len(all) {
		t.Fatalf("%d messages arrived, %d were sent", len(got), len(all))
	}
	for i, s := range all {
		g := got[i]
		if uint8(g.Type) != uint8(s.typ) || g.TimestampMS != s.timestamp || !bytes.Equal(g.Payload, s.payload) {
			t.Errorf("message %d: type %d at %d, %d bytes; sent type %d at %d, %d bytes",
				i, g.Type, g.TimestampMS, len(g.Payload), s.typ, s.timestamp, len(s.payload))
		}
	}
}

// tight is a listener whose connections' buffers do not grow, as the kernel's
// do not always.
type tight struct{ net.Listener }

func (l tight) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		err = errors.Join(err, tcp.SetReadBuffer(64<<10))
	}
	return c, err
}

// Messages are gathered, but nobody is held up by it.
func TestWhoSendsFastIsNotHeldUp(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := openOn(t, Options{}, tight{ln})
	c := h.publish("good")
	const messages = 128 // 8 MiB
	begin := time.Now()
	for i := range messages {
		if err := c.Write(rtmpout.TypeVideo, uint32(i), make([]byte, 64<<10)); err != nil {
			t.Fatalf("%v\n%s", err, h.log)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if cause, err := h.ends("good"); cause != EndUnpublish || err != nil {
		t.Errorf("ended as %v, %v", cause, err)
	}
	if took := time.Since(begin); took > messages*gatherFor/4 {
		t.Errorf("%d messages took %s", messages, took)
	} else {
		t.Logf("%d messages in %s", messages, took)
	}
}

func TestRefusalReachesThePublisherWithItsReason(t *testing.T) {
	for name, tc := range map[string]struct {
		key  string
		err  error
		want rtmpout.StatusError
	}{
		"reject":   {"good", &Reject{"NetStream.Publish.BadName", strings.Repeat("already live ", 20)}, rtmpout.StatusError{Code: "NetStream.Publish.BadName", Description: strings.Repeat("already live ", 20)}},
		"other":    {"good", errors.New("secret detail"), rtmpout.StatusError{Code: "NetStream.Publish.Failed", Description: "publishing is not possible at the moment, please try again"}},
		"unknown":  {"bad", nil, rtmpout.StatusError{Code: "NetStream.Publish.BadName", Description: "no such stream key"}},
		"no key":   {"?mode=CMAF", nil, rtmpout.StatusError{Code: "NetStream.Publish.BadName", Description: "the stream key is missing"}},
		"panicked": {"good", errPanic, rtmpout.StatusError{Code: "NetStream.Publish.Failed", Description: "internal error"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, Options{})
			h.neighbour()
			h.mu.Lock()
			h.ask = func(context.Context, PublishRequest, Conn) error {
				if errors.Is(tc.err, errPanic) {
					panic("planted")
				}
				return tc.err
			}
			h.mu.Unlock()
			_, err := rtmpout.Dial(t.Context(), h.url(tc.key), rtmpout.Options{Now: time.Now})
			var status *rtmpout.StatusError
			if !errors.As(err, &status) || *status != tc.want {
				t.Errorf("got %v, want %v", err, &tc.want)
			}
		})
	}
}

var errPanic = errors.New("panic")

func TestOnlyTheAskingConnectionWaits(t *testing.T) {
	h := open(t, Options{})
	h.neighbour()
	release := make(chan struct{})
	h.ask = func(_ context.Context, req PublishRequest, _ Conn) error {
		if req.StreamKey == "good-slow" {
			<-release
		}
		return nil
	}
	slow := make(chan error)
	go func() {
		c, err := rtmpout.Dial(t.Context(), h.url("good-slow"), rtmpout.Options{Now: time.Now})
		if err == nil {
			err = c.Close()
		}
		slow <- err
	}()
	h.until("the slow one asks", func() bool { return len(h.asked) == 2 })
	if err := h.publish("good-fast").Close(); err != nil {
		t.Error(err)
	}
	close(release)
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

func TestWaitingPublisherThatLeavesEndsTheContext(t *testing.T) {
	h := open(t, Options{})
	left := make(chan error, 1)
	h.ask = func(ctx context.Context, _ PublishRequest, _ Conn) error {
		<-ctx.Done()
		left <- ctx.Err()
		return ctx.Err()
	}
	c := h.dial(true)
	if err := put(c, msg(3, typeCommandAMF0, connectCommand("live")), msg(3, typeCommandAMF0, call("publish", "good"))); err != nil {
		t.Fatal(err)
	}
	h.until("it asks", func() bool { return len(h.asked) == 1 })
	_ = c.Close()
	select {
	case err := <-left:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("nobody told the handler")
	}
}

func TestWhatComesBeforeTheAnswerIsKept(t *testing.T) {
	h := open(t, Options{})
	release := make(chan struct{})
	h.ask = func(context.Context, PublishRequest, Conn) error {
		<-release
		return nil
	}
	c := h.dial(true)
	early := msg(4, 8, []byte("in the same packet"))
	if err := put(c, msg(3, typeCommandAMF0, connectCommand("live")), cat(msg(3, typeCommandAMF0, call("publish", "good")), early)); err != nil {
		t.Fatal(err)
	}
	h.until("it asks", func() bool { return len(h.asked) == 1 })
	sent := make(chan error)
	go func() {
		for range 50 {
			if err := put(c, msg(4, 8, make([]byte, 4000))); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	close(release)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	h.until("all messages", func() bool { return h.guests["good"] != nil && len(h.guests["good"].messages) == 51 })
	if got := h.guests["good"].messages[0].Payload; string(got) != "in the same packet" {
		t.Errorf("the first is %q", got)
	}
}

func TestModeIsFoundBehindKeyAndApp(t *testing.T) {
	for url, want := range map[string]PublishRequest{
		"live/good":                                  {App: "live", StreamKey: "good"},
		"live/good?mode=CMAF":                        {App: "live", StreamKey: "good", Mode: "CMAF"},
		"live/good?a=b&MoDe=rtmp&mode=CMAF":          {App: "live", StreamKey: "good", Mode: "rtmp"},
		"live/good?a=b?mode=x=y":                     {App: "live", StreamKey: "good", Mode: "x=y"},
		"live/good?mode=&x":                          {App: "live", StreamKey: "good"},
		"live/good?notmode=CMAF&mode":                {App: "live", StreamKey: "good"},
		"live/more/good?mode=CMAF":                   {App: "live/more", StreamKey: "good", Mode: "CMAF"},
		"live%3Fmode=hls/good":                       {App: "live%3Fmode=hls", StreamKey: "good"},
		"live/good?mode=" + strings.Repeat("m", 900): {App: "live", StreamKey: "good", Mode: strings.Repeat("m", 900)},
	} {
		h := open(t, Options{})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		c, err := rtmpout.Dial(ctx, "rtmp://"+h.addr+"/"+url, rtmpout.Options{Now: time.Now, Software: "test/1"})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		c.Abort()
		got := h.asked[0]
		if want.Remote, want.Software = got.Remote, "test/1"; got != want || got.Remote == nil {
			t.Errorf("%s: got %+v, want %+v", url, got, want)
		}
	}
	for app, want := range map[string]PublishRequest{
		"live?mode=CMAF":          {App: "live", StreamKey: "good", Mode: "CMAF"},
		"live?MODE=CMAF/":         {App: "live", StreamKey: "good", Mode: "CMAF"},
		"/live/?x=1?mode=RTMP&z=": {App: "live", StreamKey: "good", Mode: "RTMP"},
	} {
		if got := publishRequest(app, "good"); got != want {
			t.Errorf("%s: got %+v, want %+v", app, got, want)
		}
	}
	if got := publishRequest("live?mode=A", "good?mode=B"); got.Mode != "B" {
		t.Errorf("the key's mode does not win: %+v", got)
	}
}

func TestEndsAreToldApart(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(h *house, c *rtmpout.Client)
		want EndCause
	}{
		"closed":     {func(_ *house, c *rtmpout.Client) { _ = c.Close() }, EndUnpublish},
		"cut":        {func(_ *house, c *rtmpout.Client) { c.Abort() }, EndLost},
		"gone quiet": {func(*house, *rtmpout.Client) {}, EndLost},
		"kicked":     {func(h *house, _ *rtmpout.Client) { h.guests["good"].conn.Kick("NetStream.Publish.BadName", "gone") }, EndKicked},
		"refused":    {func(_ *house, c *rtmpout.Client) { _ = c.Write(rtmpout.TypeVideo, 0, []byte("refuse")) }, EndKicked},
		"panicked":   {func(_ *house, c *rtmpout.Client) { _ = c.Write(rtmpout.TypeVideo, 0, []byte("panic")) }, EndKicked},
		"too large":  {func(_ *house, c *rtmpout.Client) { _ = c.Write(rtmpout.TypeVideo, 0, make([]byte, maxMediaBytes+1)) }, EndProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, Options{IdleTimeout: 2 * time.Second})
			h.message = func(_ string, m Message) error {
				switch string(m.Payload) {
				case "refuse":
					return errors.New("codec not supported")
				case "panic":
					panic("planted")
				}
				return nil
			}
			c := h.publish("good")
			tc.end(h, c)
			if cause, err := h.ends("good"); cause != tc.want || (err == nil) != (cause == EndUnpublish) {
				t.Errorf("ended as %v, %v", cause, err)
			}
		})
	}
}

func TestKickedPublisherHearsWhy(t *testing.T) {
	h := open(t, Options{})
	h.neighbour()
	c := h.publish("good")
	flooded := make(chan error)
	go func() { // in full flow, so that the status could be overtaken by a reset
		for i := uint32(0); ; i++ {
			if err := c.Write(rtmpout.TypeVideo, i, make([]byte, 50_000)); err != nil {
				flooded <- err
				return
			}
		}
	}()
	h.until("it flows", func() bool { return len(h.guests["good"].messages) > 20 })
	h.guests["good"].conn.Kick("NetStream.Publish.BadName", "the key was reissued")
	h.guests["good"].conn.Kick("again", "is without effect")
	var status *rtmpout.StatusError
	if err := <-flooded; !errors.As(err, &status) || status.Description != "the key was reissued" {
		t.Errorf("got %v", err)
	}
	if cause, err := h.ends("good"); cause != EndKicked || !strings.Contains(err.Error(), "the key was reissued") {
		t.Errorf("ended as %v, %v", cause, err)
	}
}

func TestKickCutsAPublisherWhosePipelineIsStuck(t *testing.T) {
	h := open(t, Options{})
	release := make(chan struct{})
	h.message = func(string, Message) error {
		<-release
		return nil
	}
	c := h.publish("good")
	if err := c.Write(rtmpout.TypeVideo, 0, []byte{1}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	h.guests["good"].conn.Kick("NetStream.Publish.BadName", "ended by force")
	<-c.Done()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the cut took %v", took)
	}
	close(release)
	if cause, _ := h.ends("good"); cause != EndKicked {
		t.Errorf("ended as %v", cause)
	}
}

func TestBackPressureIsNotIdleness(t *testing.T) {
	h := open(t, Options{IdleTimeout: 500 * time.Millisecond})
	h.message = func(_ string, m Message) error {
		if string(m.Payload) == "slow" {
			time.Sleep(time.Second) // the pipeline's time, which must not count
		}
		return nil
	}
	c := h.publish("good")
	for _, p := range []string{"slow", "fast"} {
		if err := c.Write(rtmpout.TypeVideo, 0, []byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if cause, err := h.ends("good"); cause != EndUnpublish || len(h.guests["good"].messages) != 2 {
		t.Errorf("ended as %v, %v", cause, err)
	}
}

func TestShutdownTellsPublishersAndWaits(t *testing.T) {
	h := open(t, Options{})
	c := h.publish("good")
	silent := h.dial(false)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := h.server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if !h.guests["good"].ended || h.guests["good"].cause != EndKicked {
		t.Error("Shutdown returned before the publisher's End")
	}
	<-c.Done()
	var status *rtmpout.StatusError
	if err := c.Err(); !errors.As(err, &status) || status.Code != codeShutdown {
		t.Errorf("the publisher got %v", err)
	}
	h.shut(silent)
	if _, err := rtmpout.Dial(ctx, h.url("good"), rtmpout.Options{Now: time.Now}); err == nil {
		t.Error("still accepting")
	}
}
