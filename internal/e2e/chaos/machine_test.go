package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/store/sqlite"
)

// startWithin is how long a start may take after a power cut.
const startWithin = 2 * time.Second

// One machine, killed at random moments of a live broadcast: the database and
// the playlists are sound each time, and the show goes on under its URL.
func TestAMachineOutlivesPowerCuts(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(choose(t), 1))
	m := newSingle(t)
	ctx, stop := context.WithCancel(t.Context())
	var encoder sync.WaitGroup
	defer func() { stop(); encoder.Wait() }()
	encoder.Go(func() { m.encode(ctx) })
	m.until("the key is ACTIVE", func() error { return m.is(broadcast.KeyActive) })
	var show room
	m.call(http.MethodPost, "/v2/apps/me/video-rooms", map[string]string{
		"type": "BROADCAST_RTMP", "appUserId": "kim", "title": "a show", "scheduledAt": "2026-12-24T20:00:00Z",
	}, &show)
	m.call(http.MethodPost, "/v2/apps/me/video-rooms/"+show.ID+"/start", nil, &show)
	url := *show.Playback.HLSURL
	seen := &playlists{folder: filepath.Join(m.dir, "media", folderOf(url)), names: map[uint64]string{}}

	var starts []time.Duration
	live := 0
	for n := range kills {
		time.Sleep(between(rng, 0, 2*time.Second)) // the moment is what is random
		m.kill()
		if err := m.sound(); err != nil {
			t.Fatalf("after kill %d: %v", n+1, err)
		}
		if err := seen.sound(); err != nil {
			t.Fatalf("after kill %d: %v", n+1, err)
		}
		took, err := m.start()
		if err != nil {
			t.Fatalf("after kill %d: %v", n+1, err)
		}
		starts = append(starts, took)
		m.call(http.MethodGet, "/v2/apps/me/video-rooms/"+show.ID, nil, &show)
		if show.State != "LIVE" && show.State != "LIVE_INACTIVE" || *show.Playback.HLSURL != url {
			t.Fatalf("after kill %d the room is %s at %s", n+1, show.State, *show.Playback.HLSURL)
		}
		if rng.IntN(4) > 0 { // else it is killed before the publisher is back
			m.until("the room is LIVE", func() error { return m.is(broadcast.KeyActiveLive) })
			live++
		}
	}
	m.until("the room is LIVE", func() error { return m.is(broadcast.KeyActiveLive) })
	stop()
	encoder.Wait()
	m.until("nobody publishes", func() error { return m.is(broadcast.KeyInactiveLive) })
	m.call(http.MethodPost, "/v2/apps/me/video-rooms/"+show.ID+"/end", nil, nil)
	m.until("the playlist is closed", func() error {
		resp, err := http.Get("http://" + m.http + "/" + folderOf(url) + manifest.RecordName)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		return closed(resp)
	})
	mediatest.DecodeStrict(t, "http://"+m.http+"/"+folderOf(url)+manifest.MasterName)
	if err := m.stop(); err != nil {
		t.Error(err)
	}
	if err := m.sound(); err != nil {
		t.Error(err)
	}
	slices.Sort(starts)
	median := starts[len(starts)/2]
	t.Logf("%d kills, %d of them on air; starts: median %s, slowest %s; %d segments", kills, live, median, starts[len(starts)-1], len(seen.names))
	if median > startWithin { // one alone may meet another process's burst
		t.Errorf("half of the starts took more than %s", median)
	}
	if len(seen.names) < kills/4 {
		t.Errorf("only %d segments were ever listed", len(seen.names))
	}
}

// single is an installation on one machine.
type single struct {
	*process
	*publisher
	t *testing.T
}

func newSingle(t *testing.T) *single {
	t.Helper()
	p := newProcess(t, "roomcast", "PATH="+os.Getenv("PATH"))
	if _, err := p.start(); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, begun: time.Now(), sites: []*site{{process: p}}, tags: source(t), urls: map[string]map[string]bool{}}
	var err error
	if w.api, err = p.api(); err != nil {
		t.Fatal(err)
	}
	w.newPublisher("kim", "CMAF")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the publisher:\n%v", w.story)
		}
	})
	return &single{process: p, publisher: w.publishers[0], t: t}
}

func (m *single) call(method, path string, in, out any) {
	m.t.Helper()
	if err := m.w.call(m.t.Context(), rand.New(rand.NewPCG(0, 0)), method, path, in, out); err != nil {
		m.t.Fatal(err)
	}
}

func (m *single) until(what string, try func() error) {
	m.t.Helper()
	m.w.until(patience, what, try)
}

// is says whether the key is in the state.
func (m *single) is(want broadcast.KeyState) error {
	var key struct{ StreamKeyState broadcast.KeyState }
	m.call(http.MethodGet, "/v2/apps/me/members/kim/stream-key", nil, &key)
	if key.StreamKeyState != want {
		return fmt.Errorf("it is %s", key.StreamKeyState)
	}
	return nil
}

// sound opens what the killed process left behind, in a copy, and holds it
// against SQLite's own rules and ours.
func (m *single) sound() error {
	dir := m.t.TempDir()
	for _, name := range []string{"roomcast.db", "roomcast.db-wal"} {
		b, err := os.ReadFile(filepath.Join(m.dir, name))
		if err != nil && (name == "roomcast.db" || !os.IsNotExist(err)) {
			return err
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	db, err := sqlite.Open(filepath.Join(dir, "roomcast.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := intact(db.SQL()); err != nil {
		return err
	}
	_, err = replayed(m.t.Context(), db, m.key)
	return err
}

func intact(db *sql.DB) error {
	var said string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&said); err != nil {
		return err
	}
	if said != "ok" {
		return fmt.Errorf("integrity check: %s", said)
	}
	return nil
}

// playlists remembers what the playlist of a folder has ever said.
type playlists struct {
	folder string
	names  map[uint64]string
	last   uint64
}

// sound: the playlist is whole, goes on where it was, never says another thing
// of a segment, and names only what is there.
func (p *playlists) sound() error {
	b, err := os.ReadFile(filepath.Join(p.folder, manifest.RecordName))
	if os.IsNotExist(err) && len(p.names) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	list, err := manifest.ParsePlaylist(b)
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", manifest.RecordName, err, b)
	}
	for _, e := range list.Entries {
		if was, ok := p.names[e.Number]; ok && was != e.URI {
			return fmt.Errorf("segment %d was %s and is %s", e.Number, was, e.URI)
		}
		p.names[e.Number] = e.URI
		for _, name := range []string{e.URI, e.Map} {
			if _, err := os.Stat(filepath.Join(p.folder, name)); err != nil {
				return fmt.Errorf("segment %d: %s is not there: %w", e.Number, name, err)
			}
		}
	}
	newest := list.MediaSequence + uint64(len(list.Entries)) - 1
	if newest < p.last {
		return fmt.Errorf("the playlist went back from segment %d to %d", p.last, newest)
	}
	p.last = newest
	return filepath.WalkDir(p.folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ".m3u8" && filepath.Base(path) != manifest.MasterName {
			var b []byte
			if b, err = os.ReadFile(path); err == nil {
				_, err = manifest.ParsePlaylist(b)
			}
		}
		return err
	})
}
