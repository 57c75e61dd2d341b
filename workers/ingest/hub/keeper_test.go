package hub_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast/workers/ingest/hub"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

// nobody is a viewer's connection that takes everything.
type nobody struct{}

func (nobody) TryWrite(bufs [][]byte) (n int, err error) {
	for _, b := range bufs {
		n += len(b)
	}
	return n, nil
}
func (nobody) Gone() bool { return false }

// TestThePublisherIsFoundAtAnotherWorkerAtOnceWhileViewersWait counts what it
// costs as well: nothing where nobody waits.
func TestThePublisherIsFoundAtAnotherWorkerAtOnceWhileViewersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{}
		pulled := make(chan string, 9)
		h := hub.New(hub.Options{
			Worker: "w", Directory: d, Now: time.Now, Log: slog.New(slog.DiscardHandler),
			Sleep: func(ctx context.Context, d time.Duration) error {
				select {
				case <-time.After(d):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			},
			Pull: func(ctx context.Context, address, _ string, put func(rtmpin.Message) error) error {
				pulled <- address
				if err := put(video(0, true, 0)); err != nil {
					return err
				}
				<-ctx.Done() // silent from here on
				return ctx.Err()
			},
		})
		defer h.Close()
		asked := func() int {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.asked
		}
		place := func(worker string, epoch uint64) *hub.Place {
			return &hub.Place{Playable: true, Epoch: epoch, Worker: worker, Address: worker}
		}
		d.set("p", place("w", 1))
		d.set("q", place("w", 1))
		seen, unseen := h.Publish("p", nil), h.Publish("q", nil)
		ticket, err := h.Admit(t.Context(), "p", &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)})
		if err != nil {
			t.Fatal(err)
		}
		ticket.Start(hub.FLV, nobody{}, func(error) {})

		unseen.End()
		time.Sleep(20 * time.Second)
		if n := asked(); n != 0 {
			t.Errorf("asked %d times for a stream without viewers", n)
		}
		seen.End()
		time.Sleep(1300*time.Millisecond + 50*time.Millisecond)
		if n := asked(); n > 8 {
			t.Errorf("asked %d times in 1.35 s", n)
		}
		for i, next := range []string{"x", "y"} { // then from one relayed worker to another
			d.set("p", place(next, uint64(i+2)))
			at := time.Now()
			if got := <-pulled; got != next {
				t.Fatalf("pulled from %s", got)
			}
			if took, most := time.Since(at), []time.Duration{200 * time.Millisecond, 1200 * time.Millisecond}[i]; took > most {
				t.Errorf("it took %s to find the publisher at %s", took, next)
			}
		}
	})
}
