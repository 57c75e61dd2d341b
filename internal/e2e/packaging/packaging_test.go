package packaging

import (
	"net/http/httptest"
	"testing"

	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/mediatest/check"
)

// Every kind of source is published whole, and each judge agrees.
func TestEveryKindOfSourceIsPublishedWhole(t *testing.T) {
	t.Parallel()
	for name, make := range all() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := make(t)
			p := publish(t, s.sessions, defect{})
			for judge, err := range judges(t, p, s) {
				if err != nil {
					t.Errorf("%s: %v", judge, err)
				}
			}
			if got, err := runs(p.log); err == nil && len(got) != s.runs {
				t.Errorf("%d runs, want %d", len(got), s.runs)
			}
			if s.warn != "" && !p.warned[s.warn] {
				t.Errorf("no warning %s, only %v", s.warn, p.warned)
			}
			if s.runs == 1 && !s.filled {
				server := httptest.NewServer(p.serve)
				defer server.Close()
				mediatest.DecodeStrict(t, server.URL+"/"+prefix+"master.m3u8")
				mediatest.DecodeStrict(t, server.URL+"/"+prefix+"manifest.mpd")
			}
		})
	}
}

// The judges that need no browser.
const (
	byUnits  = "units"  // every access unit, one offset
	byCheck  = "check"  // every version of every manifest
	byFrames = "frames" // strict decoding, hashes of pictures
)

func judges(t *testing.T, p *product, s source) map[string]error {
	t.Helper()
	verdicts := map[string]error{byUnits: nil, byCheck: nil, byFrames: nil}
	for _, f := range check.Check(p.log, prefix) {
		if verdicts[byCheck] == nil {
			verdicts[byCheck] = &finding{f}
		}
	}
	got, err := runs(p.log)
	if err != nil {
		verdicts[byUnits] = err
		return verdicts
	}
	spread := s.spread
	if spread == 0 {
		spread = 2
	}
	verdicts[byUnits] = judgeUnits(got, sent(s.sessions), s.filled, spread)
	if !s.partial { // then decoding from the middle of a GOP is the source's own matter
		verdicts[byFrames] = judgeFrames(t, got, s.pictures())
	}
	return verdicts
}

// pictures are the files that have any.
func (s source) pictures() []string {
	if s.partial || sent(s.sessions)["v"] == nil {
		return nil
	}
	return s.files
}

type finding struct{ check.Finding }

func (f *finding) Error() string { return f.String() }
