package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/roomcast/roomcast/client"
	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/mediatest/check"
)

var (
	seed = flag.Uint64("seed", 0, "chooses the faults; 0 = a new seed")
	long = flag.Duration("for", chaosFor, "how long the faults last")
)

// Two workers, real publishers and every fault that there is: nothing that was
// acknowledged is lost, no rule is broken at any moment, and when the faults
// stop the state becomes the truth.
func TestProcessesUnderFire(t *testing.T) {
	t.Parallel()
	chosen := choose(t)
	w := newWorld(t, chosen)
	ctx, stop := context.WithCancel(t.Context())
	encoding, leave := context.WithCancel(ctx)
	var encoders, others sync.WaitGroup
	defer func() { leave(); stop(); encoders.Wait(); others.Wait() }()
	rng := rand.New(rand.NewPCG(chosen, 0x9e3779b97f4a7c15))
	for i := range publishers {
		p := w.newPublisher(fmt.Sprintf("user%d", i), []string{"CMAF", "RTMP_CMAF"}[i%2])
		encoders.Go(func() { p.encode(encoding) })
		others.Go(func() { p.perform(ctx) })
	}
	others.Go(func() { w.watch(ctx) })
	w.until(patience, "every room is live", func() error { return w.states("ACTIVE_LIVE") })

	w.rage(ctx, rng, *long)
	took := w.until(patience, "every publisher is on air again", func() error { return w.states("ACTIVE", "ACTIVE_LIVE") })
	t.Logf("the state was the truth %s after the last fault", took.Round(100*time.Millisecond))

	leave()
	encoders.Wait()
	took = w.until(patience, "nobody is on air", func() error { return w.states("INACTIVE", "INACTIVE_LIVE") })
	t.Logf("and %s after the last publisher left", took.Round(100*time.Millisecond))
	stop()
	others.Wait()
	ctx = t.Context()
	shows := 0
	for _, p := range w.publishers {
		shows += w.end(ctx, p)
	}
	w.replay(ctx)
	for _, s := range w.sites {
		if err := s.stop(); err != nil {
			t.Errorf("stop %s: %v", s.name, err)
		}
		if out := s.out.String(); strings.Contains(out, "panic") || strings.Contains(out, "goroutine ") {
			t.Errorf("%s panicked", s.name)
		}
	}
	w.judge(ctx, shows)
}

// choose answers the seed of a test.
func choose(t *testing.T) uint64 {
	t.Helper()
	n := *seed
	if n == 0 {
		n = rand.Uint64()
	}
	t.Logf("seed %d", n)
	return n
}

func (w *world) newPublisher(user, mode string) *publisher {
	w.t.Helper()
	var key struct{ ID string }
	rng := rand.New(rand.NewPCG(w.seed, uint64(len(w.publishers))))
	err := errors.Join(
		w.call(w.t.Context(), rng, http.MethodPost, "/v2/apps/me/members", map[string]string{"appUserId": user}, nil),
		w.call(w.t.Context(), rng, http.MethodGet, "/v2/apps/me/members/"+user+"/stream-key", nil, &key),
	)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &publisher{w: w, user: user, mode: mode, key: broadcast.KeyID(key.ID), wire: newWire(w.t), rng: rng}
	w.publishers = append(w.publishers, p)
	return p
}

// states says whether every key is in one of these.
func (w *world) states(want ...broadcast.KeyState) error {
	for _, p := range w.publishers {
		key, lease, err := w.store.Key(w.t.Context(), p.key)
		if err != nil {
			return err
		}
		ok := false
		for _, s := range want {
			ok = ok || key.State == s
		}
		if !ok {
			return fmt.Errorf("the key of %s is %s, fence %+v, last error %+v, lease %+v", p.user, key.State, key.Fence, key.LastError, lease)
		}
	}
	return nil
}

// watch holds every key against the coupling rule, again and again.
func (w *world) watch(ctx context.Context) {
	for looks := 0; ; looks++ {
		for _, p := range w.publishers {
			if err := coupled(ctx, w.store, p.key); err != nil && ctx.Err() == nil {
				w.tell("BROKEN: %v", err)
				w.t.Error(err)
				return
			}
		}
		if wait(ctx, time.Second); ctx.Err() != nil {
			w.tell("the rule was held %d times", looks)
			return
		}
	}
}

// end ends what is live still and waits for ENDLIST; it answers the number of
// shows that the publisher had.
func (w *world) end(ctx context.Context, p *publisher) (shows int) {
	w.t.Helper()
	rng := rand.New(rand.NewPCG(w.seed, 99))
	w.until(patience, "the room of "+p.user+" is ended", func() error {
		key, _, err := w.store.Key(ctx, p.key)
		if err != nil || key.RoomID == "" {
			return err
		}
		err = w.call(ctx, rng, http.MethodPost, "/v2/apps/me/video-rooms/"+string(key.RoomID)+"/end", nil, nil)
		return errors.Join(errors.New("it was live"), err)
	})
	key, _, err := w.store.Key(ctx, p.key)
	if err != nil {
		w.t.Fatal(err)
	}
	rooms, err := roomsOf(ctx, w.store, key.MemberID)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range rooms {
		w.mu.Lock()
		urls := w.urls[string(r.ID)]
		w.mu.Unlock()
		for url := range urls {
			shows++
			folder := folderOf(url)
			w.until(patience, "the playlist of "+string(r.ID)+" is closed", func() error {
				resp, err := http.Get(w.tap.endpoint + "/" + w.tap.bucket + "/" + folder + manifest.RecordName)
				if err != nil {
					return err
				}
				defer func() { _ = resp.Body.Close() }()
				return closed(resp)
			})
		}
	}
	return shows
}

// replay sends every dead letter again, twice, as an operator may: whatever it
// tells is over, and moves nothing.
func (w *world) replay(ctx context.Context) {
	w.t.Helper()
	operator, err := w.sites[0].operator()
	if err != nil {
		w.t.Fatal(err)
	}
	before := map[broadcast.KeyID]uint64{}
	for _, p := range w.publishers {
		key, _, err := w.store.Key(ctx, p.key)
		if err != nil {
			w.t.Fatal(err)
		}
		before[p.key] = key.Sequence
	}
	if err := w.bury(ctx, w.publishers[0].key); err != nil {
		w.t.Fatal(err)
	}
	var dead struct{ Items []struct{ ID string } }
	if err := operator.Do(ctx, http.MethodGet, "/v2/admin/dead-letters?limit=100", nil, &dead); err != nil {
		w.t.Fatal(err)
	}
	for _, l := range dead.Items {
		for _, want := range []int{0, http.StatusNotFound} {
			err := operator.Do(ctx, http.MethodPost, "/v2/admin/dead-letters/"+l.ID+"/replay", nil, nil)
			var p *client.Error
			if errors.As(err, &p) && int(p.Status) != want || err == nil && want != 0 || err != nil && p == nil {
				w.t.Errorf("replay %s: %v, want %d", l.ID, err, want)
			}
		}
	}
	if len(dead.Items) == 0 {
		w.t.Error("the dead letter is not listed")
	}
	wait(ctx, 3*time.Second) // for what must not happen
	for id, sequence := range before {
		if key, _, err := w.store.Key(ctx, id); err != nil || key.Sequence != sequence {
			w.t.Errorf("%s has sequence %d after a replay, %d before (%v)", id, key.Sequence, sequence, err)
		}
	}
	w.t.Logf("%d dead letters were replayed", len(dead.Items))
}

// bury puts the first event of a key's first session among the dead letters.
func (w *world) bury(ctx context.Context, key broadcast.KeyID) error {
	m, err := control.EncodeEvent(broadcast.Event{
		ID: "evt_dead", KeyID: key, Session: "ses_dead", Epoch: 1, Seq: 1, Phase: broadcast.Prep, Mode: broadcast.ModeCMAF, At: time.Now(),
	}, 0)
	if err != nil {
		return err
	}
	_, err = w.sqs.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: &w.dead, MessageBody: aws.String(string(m.Body)), MessageGroupId: &m.Group, MessageDeduplicationId: &m.DedupID,
	})
	return err
}

// judge says whether anything was lost or broken.
func (w *world) judge(ctx context.Context, shows int) {
	transitions := 0
	for _, p := range w.publishers {
		n, err := replayed(ctx, w.store, p.key)
		if err != nil {
			w.t.Error(err)
		}
		transitions += n
		key, _, err := w.store.Key(ctx, p.key)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := w.notices(string(key.ID), key.Sequence); err != nil {
			w.t.Error(err)
		}
		rooms, err := roomsOf(ctx, w.store, key.MemberID)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range rooms {
			if err := w.notices(string(r.ID), r.Sequence); err != nil {
				w.t.Error(err)
			}
		}
	}
	of := map[string]string{}
	for id, urls := range w.urls {
		if len(urls) != 1 {
			w.t.Errorf("%s was at %v", id, urls)
		}
		for url := range urls {
			if other := of[url]; other != "" {
				w.t.Errorf("%s and %s were both at %s", id, other, url)
			}
			of[url] = id
		}
	}
	list, looked := w.tap.missing()
	for _, m := range list {
		w.t.Errorf("missing: %s", m)
	}
	segments := 0
	folders := w.tap.folders()
	for folder := range folders {
		for _, f := range check.Check(w.tap.log, folder) {
			if f.Rule == "nothing" {
				continue // a session that was over before its first segment
			}
			w.t.Errorf("%s: %v", folder, f)
		}
	}
	for _, x := range w.tap.log {
		if strings.HasSuffix(x.Key, ".m4s") {
			segments++
		}
	}
	w.t.Logf("%d transitions, %d shows, %d play ids, %d segments of %d objects, all there", transitions, shows, len(folders), segments, looked)
	if shows == 0 || segments == 0 || transitions < 4*len(w.publishers) {
		w.t.Error("nothing was proved")
	}
}

// folderOf is where a play URL's objects lie.
func folderOf(url string) string {
	_, path, _ := strings.Cut(url, "/live/")
	id, _, _ := strings.Cut(path, "/")
	return "live/" + id + "/"
}
