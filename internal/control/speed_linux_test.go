package control_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ids"
	"github.com/roomcast/roomcast/internal/queue/local"
	"github.com/roomcast/roomcast/internal/store/sqlite"
)

// speedWorld is one machine's store, queue and consumer, on one core.
type speedWorld struct {
	*control.Service
	*testing.B
	db     *sqlite.DB
	queue  *local.Queue
	caller control.Caller
	keys   []broadcast.StreamKey
	ids    *ids.Source
}

func newSpeedWorld(b *testing.B, keys int) *speedWorld {
	b.Helper()
	cores := runtime.GOMAXPROCS(1)
	b.Cleanup(func() { runtime.GOMAXPROCS(cores) })
	w := &speedWorld{B: b, ids: ids.New(time.Now)}
	var err error
	if w.db, err = sqlite.Open(filepath.Join(b.TempDir(), "db"), sqlite.Options{Now: time.Now}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = w.db.Close() })
	if w.queue, err = local.New(b.Context(), w.db.SQL(), local.Options{Now: time.Now}); err != nil {
		b.Fatal(err)
	}
	w.Service = control.New(control.Options{Store: w.db, IDs: w.ids, Now: time.Now})
	app, _, _, err := w.CreateApp(b.Context(), control.Actor{Kind: "operator"}, "speed")
	if err != nil {
		b.Fatal(err)
	}
	w.caller = control.Caller{AppID: app.ID, Actor: control.Actor{Kind: "api_key"}}
	for i := range keys {
		w.keys = append(w.keys, w.member(fmt.Sprintf("user%d", i)))
	}
	return w
}

// member makes a member whose lease is held.
func (w *speedWorld) member(name string) broadcast.StreamKey {
	w.Helper()
	m, _, err := w.PutMember(w.Context(), w.caller, control.MemberInput{AppUserID: name})
	if err != nil {
		w.Fatal(err)
	}
	_, err = w.db.TakeLease(w.Context(), m.KeyID, control.LeaseCondition{Generation: 1},
		broadcast.Holder{Session: broadcast.SessionID(name)}, broadcast.Progress{Mode: broadcast.ModeCMAF})
	if err != nil {
		w.Fatal(err)
	}
	return broadcast.StreamKey{ID: m.KeyID, AppUserID: name}
}

// send tells PUBLISHED and STOPPED of the keys by turns.
func (w *speedWorld) send(n int) {
	key := w.keys[n%len(w.keys)].ID
	phase := broadcast.Published
	if n/len(w.keys)%2 == 1 {
		phase = broadcast.Stopped
	}
	m, err := control.EncodeEvent(broadcast.Event{
		ID: broadcast.EventID(w.ids.New("evt")), KeyID: key, Epoch: 1, Seq: uint64(n/len(w.keys) + 1),
		Phase: phase, Mode: broadcast.ModeCMAF, At: time.Now(),
	}, 0)
	if err == nil {
		err = w.queue.Send(context.Background(), m)
	}
	if err != nil {
		w.Error(err)
	}
}

// applied waits until the key of the n-th event shows it.
func (w *speedWorld) applied(n int) {
	want := broadcast.Fence{Epoch: 1, Seq: uint64(n/len(w.keys) + 1)}
	for {
		key, _, err := w.db.Key(context.Background(), w.keys[n%len(w.keys)].ID)
		if err != nil {
			w.Fatal(err)
		}
		if !key.Fence.Before(want) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// cpu is the processor time that this process has used.
func (w *speedWorld) cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		w.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkConsumer is how many events one core applies, 100 keys side by side.
func BenchmarkConsumer(b *testing.B) {
	w := newSpeedWorld(b, 100)
	for n := range b.N {
		w.send(n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var consumer sync.WaitGroup
	b.ResetTimer()
	used := w.cpu()
	consumer.Go(func() { w.Consume(ctx, w.queue) })
	for n := max(0, b.N-len(w.keys)); n < b.N; n++ {
		w.applied(n)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric((w.cpu()-used).Seconds()*1000/float64(b.N), "cpu-ms/event")
	cancel()
	consumer.Wait()
}

// BenchmarkGoLiveUnderLoad is how long a call to go live takes while 500
// events a second are sent and applied.
func BenchmarkGoLiveUnderLoad(b *testing.B) {
	const eventsPerSecond = 500
	w := newSpeedWorld(b, 100)
	shows := make([]broadcast.RoomID, b.N)
	for i := range shows {
		name := fmt.Sprintf("star%d", i)
		key := w.member(name)
		err := w.ApplyEvent(b.Context(), broadcast.Event{
			ID: "evt", KeyID: key.ID, Epoch: 1, Seq: 1, Phase: broadcast.Published, Mode: broadcast.ModeCMAF,
		})
		if err != nil {
			b.Fatal(err)
		}
		v, err := w.CreateRoom(b.Context(), w.caller, control.RoomInput{
			Type: broadcast.BroadcastRTMP, AppUserID: name, ScheduledAt: time.Now(),
		})
		if err != nil {
			b.Fatal(err)
		}
		shows[i] = v.Room.ID
	}
	ctx, cancel := context.WithCancel(context.Background())
	var load sync.WaitGroup
	sent := 0
	begun := time.Now()
	load.Go(func() { w.Consume(ctx, w.queue) })
	load.Go(func() {
		for ctx.Err() == nil {
			for ; sent < int(time.Since(begun).Seconds()*eventsPerSecond); sent++ {
				w.send(sent)
			}
			time.Sleep(time.Millisecond)
		}
	})
	took := make([]time.Duration, b.N)
	b.ResetTimer()
	for i, id := range shows {
		begin := time.Now()
		if _, err := w.StartRoom(b.Context(), w.caller, id); err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(begin)
		time.Sleep(20 * time.Millisecond) // so that the load lasts
	}
	b.StopTimer()
	cancel()
	load.Wait()
	rate := float64(sent) / time.Since(begun).Seconds()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(rate, "sent/s")
}
