package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/control"
)

func options(log *bytes.Buffer) Options {
	now := func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }
	return Options{Now: now, Log: slog.New(slog.NewTextHandler(log, nil))}
}

// older makes a database of the current schema that holds one app.
func older(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "roomcast.db")
	var log bytes.Buffer
	db, err := Open(path, options(&log))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Commit(t.Context(), control.Changes{ID: "c", Apps: []control.App{{ID: "app_1", Name: "kept"}}}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if log.Len() > 0 {
		t.Errorf("a new database is no migration: %s", log.String())
	}
	return path
}

// migrateFile brings the file forward by extra steps and answers its error.
func migrateFile(t *testing.T, path string, log *bytes.Buffer, extra ...string) error {
	t.Helper()
	steps, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	db, err := connect(path, 1, durable()...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	return migrateTo(context.Background(), db, path, append(steps, extra...), options(log))
}

// current is the version of the schema that this program makes.
func current(t *testing.T) int {
	t.Helper()
	steps, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	return len(steps)
}

func backups(t *testing.T, path string) []string {
	t.Helper()
	found, err := filepath.Glob(path + ".v*")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestMigrationBacksUpFirstAndSaysSo(t *testing.T) {
	path := older(t)
	var log bytes.Buffer
	if err := migrateFile(t, path, &log, "UPDATE apps SET doc = json_set(doc, '$.Name', 'changed')"); err != nil {
		t.Fatal(err)
	}
	found := backups(t, path)
	if len(found) != 1 || filepath.Base(found[0]) != fmt.Sprintf("roomcast.db.v%d-20260301T120000Z.bak", current(t)) {
		t.Fatalf("backups: %v", found)
	}
	for _, want := range []string{"database backed up", "database migrated", fmt.Sprint("schema_version=", current(t)+1)} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log.String())
		}
	}
	if info, err := os.Stat(found[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %v (%v)", info.Mode(), err)
	}
	if names := []string{nameIn(t, path), nameIn(t, found[0])}; names[0] != "changed" || names[1] != "kept" {
		t.Errorf("the app's name is %q, in the backup %q", names[0], names[1])
	}
	// The backup opens as what it was.
	db, err := Open(found[0], options(&log))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func nameIn(t *testing.T, path string) (name string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRow("SELECT doc ->> '$.Name' FROM apps").Scan(&name); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestMigrationThatFailsChangesNothing(t *testing.T) {
	path := older(t)
	var log bytes.Buffer
	if err := migrateFile(t, path, &log, "DELETE FROM apps; INSERT INTO nowhere VALUES (1)"); err == nil {
		t.Fatal("a broken migration succeeded")
	}
	if name := nameIn(t, path); name != "kept" {
		t.Errorf("the app's name is %q", name)
	}
	db, err := Open(path, options(&log)) // still of the old schema
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNewerSchemaIsRefusedAndStays(t *testing.T) {
	path := older(t)
	var log bytes.Buffer
	if err := migrateFile(t, path, &log, "CREATE TABLE later (x)"); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(path, options(&log))
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint("schema version ", current(t)+1)) || strings.Contains(err.Error(), "\n") {
		t.Errorf("a newer schema: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file changed (%v)", err)
	}
}

func TestFilesOfOthersAreRefusedAndStay(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, bytes.Repeat([]byte("this is no database "), 500), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.db")
	db, err := sql.Open("sqlite", other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE theirs (x)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, other, dir} {
		before, _ := os.ReadFile(path)
		if _, err := Open(path, options(&bytes.Buffer{})); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("open %s: %v", path, err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("%s changed", path)
		}
	}
}

// opcodes counts the instructions of that name in a statement's program.
func opcodes(t *testing.T, d *DB, name, query string) int {
	t.Helper()
	var n int
	rows, err := d.writer.Query("EXPLAIN " + strings.ReplaceAll(query, "?", "1"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var opcode string
		var x any
		if err := rows.Scan(&x, &opcode, &x, &x, &x, &x, &x, &x); err != nil {
			t.Fatal(err)
		}
		if opcode == name {
			n++
		}
	}
	return n
}

func TestRenewalLeavesTheIndexOfHeldLeasesAlone(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "roomcast.db"), options(&bytes.Buffer{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if n := opcodes(t, d, "IdxInsert", renewSQL); n != 0 {
		t.Errorf("a renewal writes %d indexes", n)
	}
	if n := opcodes(t, d, "IdxInsert", watchSQL); n != 1 {
		t.Errorf("a take or release writes %d indexes, want that of the held leases", n)
	}
	var a, b, c int
	var plan string
	if err := d.writer.QueryRow("EXPLAIN QUERY PLAN "+heldSQL, "", 5).Scan(&a, &b, &c, &plan); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(plan, "SEARCH leases USING INDEX leases_watched") {
		t.Errorf("held leases are found by %s", plan)
	}
}

func TestEveryConnectionIsDurable(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "roomcast.db"), options(&bytes.Buffer{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	for name, db := range map[string]*sql.DB{"writer": d.writer, "readers": d.readers} {
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
			var got string
			if err := db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %s is %s (%v), want %s", name, pragma, got, err, want)
			}
		}
	}
	if _, err := d.readers.Exec("DELETE FROM apps"); err == nil {
		t.Error("a reading connection writes")
	}
}
