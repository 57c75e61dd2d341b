package broadcast_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// Each file of testdata is a story that somebody who writes no Go can read and
// add to: one line, one happening or one expectation. testdata/README.md lists
// the sentences.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := runScenario(file, string(text)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A wrong line is named by file and number.
func TestScenarioErrorsNameTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"encoder connects\nencoder dances":                      `x.txt:2: "encoder dances" is not understood`,
		"# a comment\n\nexpect key ACTIVE":                      `x.txt:3: key is INACTIVE`,
		"expect nonsense":                                       `x.txt:1: "nonsense" is nothing that can be expected`,
		"room A is scheduled\ngo live room A":                   `x.txt:2: refused STREAM_KEY_STATE_NOT_ACTIVE`,
		"room A is scheduled\ngo live room A\nencoder connects": `x.txt:2: refused STREAM_KEY_STATE_NOT_ACTIVE`,
		"room A is scheduled\ngo live room A\nrefused OTHER":    `x.txt:3: refused STREAM_KEY_STATE_NOT_ACTIVE`,
		"refused OTHER":                                         `x.txt:1: nothing was refused`,
		"go live room Z":                                        `x.txt:1: there is no room Z`,
		"expect room Z LIVE":                                    `x.txt:1: there is no room Z`,
		"becomes viewable":                                      `x.txt:1: "becomes viewable" is not understood`,
		"encoder becomes viewable":                              `x.txt:1: encoder is not connected`,
		"room A is scheduled\nexpect room":                      `x.txt:2: "room" is nothing that can be expected`,
	} {
		if err := runScenario("x.txt", text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// story is a scenario under way.
type story struct {
	world
	names    map[string]int // rooms by letter
	sessions map[string]*session
	last     broadcast.Outcome
	refused  string // the code of the last refusal, until a line says so
	lost     bool   // the event of this line is lost
	delayed  bool   // the event of this line waits
	waiting  []broadcast.Event
	sent     broadcast.Event
}

// session is a publisher's connection to a worker.
type session struct {
	epoch, seq uint64
	generation uint64 // of the string that it knows
	mode       broadcast.Mode
}

type sentence struct {
	pattern *regexp.Regexp
	do      func(s *story, words []string) error
}

func runScenario(file, text string) error {
	s := story{world: newWorld(0), names: map[string]int{}, sessions: map[string]*session{}}
	refusedAt := 0
	number := 0
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if code, ok := strings.CutPrefix(line, "refused "); ok {
			if s.refused == "" {
				return fmt.Errorf("%s:%d: nothing was refused", file, number)
			}
			if s.refused != code {
				return fmt.Errorf("%s:%d: refused %s, not %s", file, number, s.refused, code)
			}
			s.refused = ""
			continue
		}
		if s.refused != "" {
			return fmt.Errorf("%s:%d: refused %s", file, refusedAt, s.refused)
		}
		refusedAt = number
		if err := s.line(line); err != nil {
			return fmt.Errorf("%s:%d: %w\n  state: %s", file, number, err, &s.world)
		}
	}
	if s.refused != "" {
		return fmt.Errorf("%s:%d: refused %s", file, refusedAt, s.refused)
	}
	return nil
}

func (s *story) line(line string) error {
	if what, ok := strings.CutPrefix(line, "expect "); ok {
		for part := range strings.SplitSeq(what, ",") {
			if err := s.expect(strings.TrimSpace(part)); err != nil {
				return err
			}
		}
		return nil
	}
	what, lost := strings.CutSuffix(line, ", event lost")
	what, s.delayed = strings.CutSuffix(what, ", event delayed")
	s.lost = lost
	s.now = s.now.Add(time.Second)
	for _, h := range happenings {
		if words := h.pattern.FindStringSubmatch(what); words != nil {
			return h.do(s, words)
		}
	}
	return fmt.Errorf("%q is not understood", line)
}

// about takes a step about a room, or about what the key carries (-1 inside).
func (s *story) about(n int, in broadcast.Input) error {
	out, refusal, err := s.do(n, in)
	if err != nil {
		return err
	}
	s.last = out
	if refusal != nil {
		s.refused = string(refusal.Code)
	}
	return nil
}

func (s *story) room(name string) (int, error) {
	n, ok := s.names[name]
	if !ok {
		return 0, fmt.Errorf("there is no room %s", name)
	}
	return n, nil
}

func (s *story) session(name string) (*session, error) {
	if p := s.sessions[name]; p != nil && p.epoch > 0 {
		return p, nil
	}
	return nil, fmt.Errorf("%s is not connected", name)
}

// send is the way of an event through the queue.
func (s *story) send(p *session, phase broadcast.Phase) error {
	p.seq++
	e := broadcast.Event{
		ID: "evt", KeyID: s.key.ID, Epoch: p.epoch, Seq: p.seq, Phase: phase, Mode: p.mode, At: s.now,
	}
	if s.holds(p) { // the renewal carries it; a fenced worker's is refused
		s.lease.Phase, s.lease.Seq = phase, p.seq
	}
	switch {
	case s.lost:
		return nil
	case s.delayed:
		s.waiting = append(s.waiting, e)
		return nil
	}
	return s.deliver(e)
}

func (s *story) deliver(e broadcast.Event) error {
	s.sent = e
	return s.about(s.carried(), e)
}

func (s *story) holds(p *session) bool { return s.lease.Holder != nil && s.lease.Epoch == p.epoch }
