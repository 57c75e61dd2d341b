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

// TestALoopThatGoesOnBeginsWithItsNextKeyFrame loses its connection in the
// middle of a GOP and is back in the middle of another one.
func TestALoopThatGoesOnBeginsWithItsNextKeyFrame(t *testing.T) {
	var tags []Tag
	tags = append(tags, Tag{TypeData, 0, appendAMF(nil, "onMetaData")}, Tag{TypeVideo, 0, []byte{0x17, 0}})
	for i := range uint32(50) { // 2 s, a key frame each second
		head := byte(0x27)
		if i%25 == 0 {
			head = 0x17
		}
		tags = append(tags, Tag{TypeVideo, 40 * i, []byte{head, 1, byte(i)}})
	}
	var lost time.Time
	var at time.Time
	back := make(chan []heard, 1)
	url := serve(t,
		func(s *script) {
			s.grant()
			s.media(12) // not quite half a second of pictures
			lost = time.Now()
		},
		func(s *script) {
			s.grant()
			head := s.media(3)
			at = time.Now()
			back <- append(head, s.media(1)...)
			s.until("deleteStream")
		})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	l := Loop{URL: url, Tags: tags, Client: Options{Now: time.Now}, Reconnect: true, GoesOn: true}
	go func() { done <- l.Run(ctx) }()
	head := <-back
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if head[0].typ != TypeData || head[1].typ != TypeVideo || head[1].body[1] != 0 || head[2].body[0] != 0x17 || head[3].body[0] != 0x27 {
		t.Errorf("it began with %v", head)
	}
	// Cut at 0.4 s of its second, back at 1.4 s: its next key frame comes at 2 s.
	if took := at.Sub(lost); took < 1300*time.Millisecond {
		t.Errorf("its first picture came after %s: its key frame was not due", took)
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
