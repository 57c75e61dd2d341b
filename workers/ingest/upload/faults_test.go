package upload_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/workers/ingest/upload"
)

var errOut = errors.New("storage is out")

// show is a session that begins, is interrupted and goes on; it is what every
// Put of it is made to fail in.
func show(s *stage, objects control.Objects) error {
	p, _, err := s.open(objects, 1, "v", "a")
	if err != nil {
		return err
	}
	if _, err := p.play(10); err != nil {
		return err
	}
	s.at = s.at.Add(3 * time.Second)
	if p, _, err = s.open(objects, 2, "v", "a"); err != nil {
		return err
	}
	_, err = p.play(2)
	return err
}

// puts is how many a show without faults makes.
func puts(t *testing.T) int {
	s := newMemoryStage(t)
	f := &faults{Objects: s.store}
	if err := show(s, f); err != nil {
		t.Fatal(err)
	}
	return f.puts
}

func TestAWorkerMayDieAtEveryWrite(t *testing.T) {
	total := puts(t)
	for _, done := range []bool{false, true} {
		for n := 1; n <= total; n++ {
			t.Run(fmt.Sprintf("written %v, put %d", done, n), func(t *testing.T) {
				t.Parallel()
				s := newMemoryStage(t)
				dead := func(i int, _ string) error {
					if i >= n {
						return errOut
					}
					return nil
				}
				f := &faults{Objects: s.store, before: dead}
				if done { // the last write happens, then the worker is gone
					f.before, f.after = func(i int, key string) error { return dead(i-1, key) }, dead
				}
				if err := show(s, f); !errors.Is(err, errOut) {
					t.Fatalf("error %v", err)
				}
				s.at = s.at.Add(7 * time.Second)
				p, resumed, err := s.open(s.store, 3, "v", "a")
				if err != nil {
					t.Fatal(err)
				}
				if ack := p.mustPlay(6); ack.LastSegment != resumed.LastSegment+6 {
					t.Errorf("from %d to %d with 6 segments", resumed.LastSegment, ack.LastSegment)
				}
				s.sound()
			})
		}
	}
}

func TestEveryAnswerMayGetLost(t *testing.T) {
	t.Parallel()
	total := puts(t)
	for n := 1; n <= total; n++ {
		s := newMemoryStage(t)
		f := &faults{Objects: s.store, after: func(i int, _ string) error {
			if i == n {
				return errOut
			}
			return nil
		}}
		if err := show(s, f); err != nil {
			t.Fatalf("put %d: %v", n, err)
		}
		s.sound()
		if t.Failed() {
			t.Fatalf("put %d", n)
		}
	}
}

func TestAShortOutageIsWaitedFor(t *testing.T) {
	s := newStage(t)
	p := s.mustOpen(1, "v")
	p.mustPlay(1)
	down := 7
	f := &faults{Objects: s.store, before: func(int, string) error {
		if down--; down >= 0 {
			return errOut
		}
		return nil
	}}
	if _, _, err := s.open(f, 2, "v"); err != nil {
		t.Fatalf("an outage of 7 tries: %v", err)
	}
	down = 8
	if _, _, err := s.open(f, 3, "v"); !errors.Is(err, errOut) {
		t.Errorf("an outage of 8 tries: %v", err)
	}
}

func TestAFullStorageEndsTheSessionAtOnceAndANewOneGoesOn(t *testing.T) {
	for n := 1; n <= 12; n++ {
		s := newMemoryStage(t)
		full := true
		f := &faults{Objects: s.store, before: func(i int, _ string) error {
			if i >= n && full {
				return fmt.Errorf("put: %w", control.ErrNoSpace)
			}
			return nil
		}}
		p, _, err := s.open(f, 1, "v", "a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err = p.play(4); !errors.Is(err, control.ErrNoSpace) {
			t.Fatalf("put %d: %v", n, err)
		}
		if f.puts > n+1 {
			t.Errorf("put %d: %d tries on a full storage", n, f.puts-n)
		}
		full = false
		if _, again := p.play(1); !errors.Is(again, control.ErrNoSpace) {
			t.Error("the session goes on without what was lost")
		}
		s.mustOpen(2, "v", "a").mustPlay(4)
		s.sound()
	}
}

// TestADeadWorkerThatWakesUpIsFenced stops the first worker before and after
// each of its writes, lets a second one take over, wakes the first up, and
// lets the second go on.
func TestADeadWorkerThatWakesUpIsFenced(t *testing.T) {
	t.Parallel()
	total := puts(t)
	for _, late := range []bool{false, true} {
		for n := 1; n <= total; n++ {
			s := newMemoryStage(t)
			var second *publisher
			takeOver := func(i int, _ string) error {
				if i == n {
					at := s.at
					s.at = s.at.Add(3 * time.Second)
					second = s.mustOpen(9, "v", "a")
					second.mustPlay(2)
					s.at = at
				}
				return nil
			}
			f := &faults{Objects: s.store, before: takeOver}
			if late {
				f.before, f.after = nil, takeOver
			}
			err := show(s, f)
			if err != nil && !errors.Is(err, upload.ErrFenced) {
				t.Fatalf("put %d: %v", n, err)
			}
			if err == nil && n < total-1 {
				t.Errorf("put %d: the old session did not notice", n)
			}
			s.at = s.at.Add(time.Minute)
			second.mustPlay(3)
			s.sound()
			if p, err := manifest.ParseRecord([]byte(s.get("v.m3u8"))); err != nil || p.Epoch != 9 {
				t.Errorf("put %d: the record is of epoch %d, %v", n, p.Epoch, err)
			}
			if t.Failed() {
				t.Fatalf("put %d, late %v", n, late)
			}
		}
	}
}

func TestOpeningAloneFencesTheOlderSession(t *testing.T) {
	s := newStage(t)
	old := s.mustOpen(1, "v", "a")
	old.mustPlay(2)
	young := s.mustOpen(2, "v", "a")
	writes := len(s.store.Log())
	if _, err := old.play(1); !errors.Is(err, upload.ErrFenced) {
		t.Errorf("the old session: %v", err)
	}
	for _, w := range s.store.Log()[writes:] {
		if !strings.Contains(w.Key, "/s1-0/") {
			t.Errorf("the old session wrote %s", w.Key)
		}
	}
	young.mustPlay(1)
	s.sound()
}

func TestTwoWritersOfOneEpochDoNotMix(t *testing.T) {
	s := newStage(t)
	one, two := s.mustOpen(1, "v"), s.mustOpen(1, "v")
	one.mustPlay(1)
	two.run.Index = 4 // other objects than the first one's
	if err := two.out.Init(t.Context(), two.nextInit()); err != nil {
		t.Fatal(err)
	}
	if _, err := two.play(1); !errors.Is(err, upload.ErrFenced) {
		t.Errorf("the second writer: %v", err)
	}
	one.mustPlay(1)
	s.sound()
}

// TestAnOlderSessionsLastWriteIsGoneOnWith: both found nothing; the old one's
// first record lands before the new one's.
func TestAnOlderSessionsLastWriteIsGoneOnWith(t *testing.T) {
	s := newStage(t)
	old := s.mustOpen(1, "v", "a")
	young := s.mustOpen(2, "v", "a")
	old.mustPlay(1)
	if ack := young.mustPlay(2); ack.LastSegment != 3 {
		t.Errorf("the last segment is %d, want 3", ack.LastSegment)
	}
	if _, err := old.play(1); !errors.Is(err, upload.ErrFenced) {
		t.Errorf("the old session: %v", err)
	}
	s.sound()
}

func TestWhatIsThereUnderASegmentsNameStays(t *testing.T) {
	s := newStage(t)
	foreign := [][]byte{[]byte("somebody else's")}
	if _, err := s.store.Objects.Put(t.Context(), prefix+"s1-0/v/2.m4s", foreign, control.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	p := s.mustOpen(1, "v")
	p.mustPlay(1)
	if _, err := p.play(1); err == nil || !strings.Contains(err.Error(), "s1-0/v/2.m4s") {
		t.Errorf("error %v", err)
	}
	if got := s.get("s1-0/v/2.m4s"); got != string(foreign[0]) {
		t.Errorf("it is now %d bytes", len(got))
	}
}
