package local_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/queue/local"
	"github.com/roomcast/roomcast/internal/queue/queuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// database opens a file the way internal/store/sqlite does its writer.
func database(t testing.TB, path string) *sql.DB {
	t.Helper()
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String())
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func open(t testing.TB, db *sql.DB, opt local.Options) *local.Queue {
	t.Helper()
	if opt.Now == nil {
		opt.Now = time.Now
	}
	q, err := local.New(t.Context(), db, opt)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestContract(t *testing.T) {
	queuetest.Run(t, func(t *testing.T, c queuetest.Config) queuetest.Backend {
		var ahead atomic.Int64
		q := open(t, database(t, filepath.Join(t.TempDir(), "queue.db")), local.Options{
			Now:        func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
			Visibility: c.Visibility, MaxReceives: c.MaxReceives,
		})
		return queuetest.Backend{Queue: q, Pass: func(d time.Duration) { ahead.Add(int64(d)) }, Fast: true}
	})
}

func send(t testing.TB, q *local.Queue, group, body string) {
	t.Helper()
	if err := q.Send(context.Background(), control.QueueMessage{Group: group, DedupID: body, Body: []byte(body)}); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, q *local.Queue) []control.Delivery {
	t.Helper()
	got, err := q.Receive(t.Context(), 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestNextProcessGoesOnWhereTheLastOneCrashed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	db := database(t, path)
	q := open(t, db, local.Options{})
	for _, body := range []string{"a1", "a2"} {
		send(t, q, "a", body)
	}
	send(t, q, "b", "b1")
	send(t, q, "c", "c1")
	for _, d := range receive(t, q) {
		switch d.Group {
		case "b": // delayed, for a reason that outlives the process
			if err := q.Return(t.Context(), d, time.Hour); err != nil {
				t.Fatal(err)
			}
		case "c":
			if err := q.Ack(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := receive(t, q); len(got) != 0 {
		t.Fatalf("received %v", got)
	}
	// The process is gone with a1 on its way: nobody waits for its timeout.
	next := open(t, db, local.Options{})
	got := receive(t, next)
	if len(got) != 1 || string(got[0].Body) != "a1" || got[0].Attempts != 2 {
		t.Fatalf("received %v, want a1 for the second time", got)
	}
	if err := next.Ack(t.Context(), got[0]); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, next); len(got) != 1 || string(got[0].Body) != "a2" {
		t.Errorf("received %v, want a2", got)
	}
	if err := next.Send(t.Context(), control.QueueMessage{Group: "c", DedupID: "c1"}); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, next); len(got) != 0 {
		t.Errorf("received %v, a duplicate of what the process before got", got)
	}
}

func ack(t *testing.T, q *local.Queue, got []control.Delivery) (groups []string) {
	t.Helper()
	for _, d := range got {
		if err := q.Ack(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		groups = append(groups, d.Group)
	}
	return groups
}

// Groups take turns: who sends much has its own messages wait, not others'.
func TestAGroupWithABacklogHoldsNobodyUp(t *testing.T) {
	q := open(t, database(t, filepath.Join(t.TempDir(), "queue.db")), local.Options{})
	const busy = 12
	for i := range 50 {
		for g := range busy {
			send(t, q, "busy"+strconv.Itoa(g), strconv.Itoa(i))
		}
	}
	ack(t, q, receive(t, q))
	send(t, q, "late", "1")
	seen := ack(t, q, receive(t, q))
	seen = append(seen, ack(t, q, receive(t, q))...)
	if !slices.Contains(seen, "late") {
		t.Errorf("%v came before one of another group", seen)
	}
}

// A file that an earlier version wrote goes on in its order.
func TestTablesOfVersion1GoOn(t *testing.T) {
	db := database(t, filepath.Join(t.TempDir(), "queue.db"))
	script, err := os.ReadFile("migrations/0001_queue.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		"CREATE TABLE queue_schema (version INTEGER NOT NULL) STRICT", "INSERT INTO queue_schema VALUES (1)", string(script),
		"INSERT INTO queue_messages (grp, dedup, body, head) VALUES ('a', '1', x'61', 1), ('a', '2', x'62', 0), ('b', '1', x'63', 1)",
	} {
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	q := open(t, db, local.Options{})
	send(t, q, "c", "1")
	seen := ack(t, q, receive(t, q))
	seen = append(seen, ack(t, q, receive(t, q))...)
	if want := []string{"a", "b", "c", "a"}; !slices.Equal(seen, want) {
		t.Errorf("received of %v, want %v", seen, want)
	}
	open(t, db, local.Options{}) // and is version 2 from then on
}

func TestNewerTablesAreRefused(t *testing.T) {
	db := database(t, filepath.Join(t.TempDir(), "queue.db"))
	open(t, db, local.Options{})
	if _, err := db.Exec("UPDATE queue_schema SET version = 99"); err != nil {
		t.Fatal(err)
	}
	if _, err := local.New(t.Context(), db, local.Options{Now: time.Now}); err == nil {
		t.Error("a queue of version 99 was opened")
	}
}

func TestFullDiskRefusesAndTheQueueGoesOn(t *testing.T) {
	db := database(t, filepath.Join(t.TempDir(), "queue.db"))
	q := open(t, db, local.Options{})
	if _, err := db.Exec("PRAGMA max_page_count = 100"); err != nil {
		t.Fatal(err)
	}
	n := 0
	var err error
	for ; err == nil && n < 1000; n++ {
		err = q.Send(t.Context(), control.QueueMessage{Group: strconv.Itoa(n), DedupID: "x", Body: make([]byte, 10_000)})
	}
	if !errors.Is(err, control.ErrNoSpace) {
		t.Fatalf("message %d: %v, want ErrNoSpace", n, err)
	}
	if _, err := db.Exec("PRAGMA max_page_count = 10000"); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for got := receive(t, q); len(got) > 0; got = receive(t, q) {
		seen += len(got)
	}
	if seen != n-1 {
		t.Errorf("%d messages are there, %d were accepted", seen, n-1)
	}
}

// One caller's end is not that of those who share its transaction.
func TestCallersWhoLeaveTakeNobodyAlong(t *testing.T) {
	q := open(t, database(t, filepath.Join(t.TempDir(), "queue.db")), local.Options{})
	var wg sync.WaitGroup
	var accepted atomic.Int64
	for i := range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if i%2 == 0 {
				go cancel()
			}
			err := q.Send(ctx, control.QueueMessage{Group: strconv.Itoa(i), DedupID: "x"})
			switch {
			case err == nil:
				accepted.Add(1)
			case i%2 == 1 || !errors.Is(err, context.Canceled):
				t.Errorf("send %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	seen := int64(0)
	for got := receive(t, q); len(got) > 0; got = receive(t, q) {
		seen += int64(len(got))
	}
	if seen != accepted.Load() {
		t.Errorf("%d messages arrived, %d were accepted", seen, accepted.Load())
	}
}

// BenchmarkEvents sends, receives and acknowledges, 100 groups side by side.
func BenchmarkEvents(b *testing.B) {
	q := open(b, database(b, filepath.Join(b.TempDir(), "queue.db")), local.Options{})
	const groups, receivers = 100, 8
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var senders, takers sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	for g := range groups {
		senders.Go(func() {
			for i := g; i < b.N; i += groups {
				send(b, q, strconv.Itoa(g), fmt.Sprintf(`{"seq":%d,"phase":"PUBLISHED"}`, i))
			}
		})
	}
	for range receivers {
		takers.Go(func() {
			for ctx.Err() == nil {
				got, err := q.Receive(ctx, 10, time.Minute)
				if err != nil && ctx.Err() == nil {
					b.Error(err)
				}
				for _, d := range got {
					if err := q.Ack(context.Background(), d); err != nil {
						b.Error(err)
					}
					if left.Add(-1) == 0 {
						cancel()
					}
				}
			}
		})
	}
	senders.Wait()
	takers.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
