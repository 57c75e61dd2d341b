package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/store/sqlite"
)

// childFlag makes this test binary the process that is killed.
const childFlag = "-crash-child="

func TestMain(m *testing.M) {
	for _, arg := range os.Args[1:] {
		if path, ok := strings.CutPrefix(arg, childFlag); ok {
			fmt.Fprintln(os.Stderr, writeForever(path))
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// writeForever commits one room after the other and prints the number of each
// that was acknowledged.
func writeForever(path string) error {
	db, err := sqlite.Open(path, sqlite.Options{Now: time.Now})
	if err != nil {
		return err
	}
	n, err := count(db)
	if err != nil {
		return err
	}
	for {
		n++
		if err := db.Commit(context.Background(), room(n)); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

func room(n int) control.Changes {
	id := broadcast.RoomID(fmt.Sprintf("room_%08d", n))
	return control.Changes{
		ID:      fmt.Sprintf("commit_%08d", n),
		Rooms:   []broadcast.VideoRoom{{ID: id, Title: strings.Repeat("x", rand.IntN(9000))}},
		Journal: []control.JournalEntry{{ID: "jnl", Aggregate: string(id), Version: 1}},
	}
}

// count answers how many rooms there are and fails where one is missing or has
// not got what was committed with it.
func count(db *sqlite.DB) (int, error) {
	n := 0
	p := control.Page{Limit: 500, Ascending: true}
	for {
		list, err := db.Rooms(context.Background(), control.RoomFilter{}, p)
		if err != nil {
			return 0, err
		}
		for _, r := range list.Items {
			n++
			if want := fmt.Sprintf("room_%08d", n); string(r.ID) != want {
				return 0, fmt.Errorf("room %s in the place of %s", r.ID, want)
			}
			entries, err := db.Journal(context.Background(), string(r.ID), control.Page{Limit: 2})
			if err != nil || len(entries.Items) != 1 {
				return 0, fmt.Errorf("room %s has %d journal entries (%w)", r.ID, len(entries.Items), err)
			}
		}
		if p.Cursor = list.Next; p.Cursor == "" {
			return n, nil
		}
	}
}

func TestKilledWhileWritingLosesNoAcknowledgedCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "roomcast.db")
	for round := range 10 {
		acknowledged := runAndKill(t, path, time.Duration(20+rand.IntN(150))*time.Millisecond)
		db, err := sqlite.Open(path, sqlite.Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		assertSound(t, db)
		n, err := count(db)
		if err != nil {
			t.Fatal(err)
		}
		if n < acknowledged || n > acknowledged+1 {
			t.Errorf("round %d: %d rooms are there, %d were acknowledged", round, n, acknowledged)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// runAndKill lets a child write and kills it some time after its first
// acknowledgement. It answers the last number that the child printed.
func runAndKill(t *testing.T, path string, after time.Duration) int {
	t.Helper()
	child := exec.Command(os.Args[0], childFlag+path) // #nosec G204 -- this test
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	last := 0
	var timer *time.Timer
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if last, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatal(err)
		}
		if timer == nil {
			timer = time.AfterFunc(after, func() { _ = child.Process.Kill() })
		}
	}
	if timer == nil {
		t.Fatal("the child wrote nothing")
	}
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return last
}

func assertSound(t *testing.T, db *sqlite.DB) {
	t.Helper()
	var verdict string
	if err := db.SQL().QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Fatalf("integrity check: %s %v", verdict, err)
	}
}

// fillDisk writes rooms until the store says that it is full, and checks that
// the database is what it was before the refused one.
func fillDisk(t *testing.T, db *sqlite.DB) {
	t.Helper()
	ctx := t.Context()
	for n := 1; ; n++ {
		c := room(n)
		c.Rooms[0].Title = strings.Repeat("x", 20_000)
		err := db.Commit(ctx, c)
		if err == nil {
			if n > 5000 {
				t.Fatal("the disk does not fill")
			}
			continue
		}
		if !errors.Is(err, control.ErrNoSpace) {
			t.Fatalf("room %d: %v, want ErrNoSpace", n, err)
		}
		got, err := count(db)
		if err != nil || got != n-1 {
			t.Fatalf("%d rooms are there, want %d (%v)", got, n-1, err)
		}
		return
	}
}

func TestFullDatabaseRefusesAndStaysSound(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "roomcast.db"))
	if _, err := db.SQL().Exec("PRAGMA max_page_count = 400"); err != nil {
		t.Fatal(err)
	}
	fillDisk(t, db)
	assertSound(t, db)
	if _, err := db.SQL().Exec("PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	if err := db.Commit(t.Context(), control.Changes{ID: "after", Apps: []control.App{{ID: "app"}}}); err != nil {
		t.Errorf("commit after there is room again: %v", err)
	}
}
