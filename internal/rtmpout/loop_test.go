package rtmpout

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func sample() []Tag {
	tags := []Tag{{TypeData, 1000, appendAMF(nil, "onMetaData")}, {TypeVideo, 1000, []byte{0x17, 0}}}
	for i := range uint32(5) {
		tags = append(tags, Tag{TypeVideo, 1000 + 40*i, []byte{0x27, 1, byte(i)}}, Tag{TypeAudio, 1000 + 40*i, []byte{0xaf, 1, byte(i)}})
	}
	return append(tags, Tag{TypeVideo, 1200, []byte{0x17, 2, 0, 0, 0}})
}

func TestRoundsFollowWithoutAJump(t *testing.T) {
	round, period, err := prepare(sample())
	if err != nil || period != 200 || len(round) != 12 || round[0].TimestampMS != 0 || round[11].TimestampMS != 160 {
		t.Errorf("%v, period %d, %v", round, period, err)
	}
	if want := appendAMF(nil, "@setDataFrame", "onMetaData"); string(round[0].Payload) != string(want) {
		t.Errorf("metadata is %q", round[0].Payload)
	}
	for _, bad := range [][]Tag{nil, sample()[:2]} {
		if _, _, err := prepare(bad); err == nil {
			t.Error("an FLV that takes no time passed")
		}
	}
}

func TestLoopKeepsRealTime(t *testing.T) {
	heards := make(chan int, 1)
	url := serve(t, func(s *script) {
		s.grant()
		s.until("deleteStream")
		heards <- len(s.saw)
	})
	began := time.Now()
	connected := 0
	l := Loop{URL: url, Tags: sample(), Times: 3, Client: Options{Now: time.Now}, Connected: func() { connected++ }}
	if err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 560*time.Millisecond || took > 5*time.Second {
		t.Errorf("3 rounds of 200 ms took %v", took)
	}
	// 6 negotiating messages (chunk size, connect, releaseStream, FCPublish,
	// createStream, publish), 36 of media, 2 at the end; acknowledgements come on top.
	if n := <-heards; n < 44 || connected != 1 {
		t.Errorf("%d messages arrived on %d connections", n, connected)
	}
}

func TestCancelledLoopUnpublishes(t *testing.T) {
	clean := make(chan bool, 1)
	url := serve(t, func(s *script) {
		s.grant()
		clean <- s.until("deleteStream")
	})
	ctx, cancel := context.WithCancel(t.Context())
	l := Loop{URL: url, Tags: sample(), Client: Options{Now: time.Now}, Connected: cancel}
	if err := l.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if !<-clean {
		t.Error("no unpublish")
	}
}

func TestLoopComesBackAfterALossAndSaysWhy(t *testing.T) {
	url := serve(t,
		func(s *script) { // refuses
			s.shake()
			s.until("connect")
			s.call("_error", 1.0, null{}, []pair{{"code", "X.Y"}, {"description", "busy"}})
			s.drain()
		},
		func(s *script) { s.grant() }, // is lost at once
		func(s *script) {
			s.grant()
			s.until("deleteStream")
		})
	var why []string
	l := Loop{
		URL: url, Tags: sample(), Times: 1, Client: Options{Now: time.Now}, Reconnect: true,
		Retrying: func(err error, _ time.Duration) { why = append(why, err.Error()) },
	}
	if err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(why) != 2 {
		t.Errorf("%q", why)
	}
}

func TestLoopWithoutReconnectReturnsTheRefusal(t *testing.T) {
	l := Loop{URL: "rtmp://127.0.0.1:1/live/key", Tags: sample(), Client: Options{Now: time.Now}}
	if err := l.Run(t.Context()); err == nil {
		t.Error("published to nobody")
	}
	l.URL, l.Reconnect = "rtmp://nowhere", true
	if err := l.Run(t.Context()); err == nil {
		t.Error("a URL that cannot work is retried")
	}
}

func TestPausesGrowToTheirLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var pauses []time.Duration
		l := Loop{
			URL: "rtmp://256.0.0.1/live/key", Tags: sample(), Client: Options{Now: time.Now}, Reconnect: true,
			Retrying: func(_ error, pause time.Duration) { pauses = append(pauses, pause) },
		}
		l.Client.Now = nil // every Dial fails before it touches the network
		if err := l.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if len(pauses) < 6 || pauses[0] != time.Second || pauses[1] != 2*time.Second || pauses[5] != 10*time.Second {
			t.Errorf("%v", pauses)
		}
	})
}
