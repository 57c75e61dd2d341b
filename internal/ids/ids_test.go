package ids_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/ids"
)

func TestIDsSortInTheOrderTheyWereMadeEvenOnAClockThatStands(t *testing.T) {
	s := ids.New(func() time.Time { return time.UnixMilli(1_700_000_000_000) })
	last := ""
	for range 1000 {
		id := s.New("room")
		if id <= last {
			t.Fatalf("%s does not sort after %s", id, last)
		}
		last = id
	}
}

func TestSecretsAreLongDifferentAndNeedNoEscaping(t *testing.T) {
	s := ids.New(time.Now)
	a, b := s.Secret(32), s.Secret(32)
	if a == b || !regexp.MustCompile(`^[a-z2-7]{52}$`).MatchString(a) {
		t.Fatalf("secrets %q and %q", a, b)
	}
}
