// Package sqlite keeps the records of one machine in one SQLite file. It is
// both control.Store and control.Leases.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "modernc.org/sqlite" // registers the driver

	"github.com/roomcast/roomcast/internal/control"
)

const (
	// maxReaders caps the pool of reading connections: each may hold a page
	// cache of 2 MB.
	maxReaders = 4
	// busyTimeoutMs is how long a connection waits for another process, such
	// as a person with the sqlite3 shell.
	busyTimeoutMs = 5000
	// walLimitBytes is what the write-ahead log is cut back to.
	walLimitBytes = 16 << 20
)

// Options of Open. Now is required; Log may be nil.
type Options struct {
	Now func() time.Time
	Log *slog.Logger
}

// DB is an open database. Safe for concurrent use. Acknowledged writes are on
// the disk (write-ahead log, synchronous = FULL). One process at a time: hold
// Lock on its directory.
type DB struct {
	now     func() time.Time
	log     *slog.Logger
	writer  *sql.DB // one connection, so that writers queue instead of colliding
	readers *sql.DB
	put     tables
	write   writes

	mu      sync.Mutex
	reads   map[string]*sql.Stmt
	changed chan struct{} // nil: nobody has asked since the last change
}

var (
	_ control.Store  = (*DB)(nil)
	_ control.Leases = (*DB)(nil)
)

// Open opens the database at path, makes it where there is none (mode 0600),
// and brings an older schema forward after a backup next to it. A file of a
// newer schema is an error and stays as it is.
func Open(path string, opt Options) (*DB, error) {
	d, err := open(path, opt)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	return d, nil
}

func open(path string, opt Options) (_ *DB, err error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// The stream keys are in it: SQLite gives its other files the same mode.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	d := &DB{now: opt.Now, log: opt.Log, reads: map[string]*sql.Stmt{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	ctx := context.Background()
	steps, err := migrations()
	if err != nil {
		return nil, err
	}
	if err := probe(ctx, path, len(steps)); err != nil {
		return nil, err
	}
	if d.writer, err = connect(path, 1, durable()...); err != nil {
		return nil, err
	}
	if err := migrateTo(ctx, d.writer, path, steps, opt); err != nil {
		return nil, err
	}
	if d.readers, err = connect(path, maxReaders, append(durable(), "query_only(1)")...); err != nil {
		return nil, err
	}
	return d, d.prepare(ctx)
}

// durable are the settings of every connection but the first look at a file.
func durable() []string {
	return []string{
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"foreign_keys(1)",
		fmt.Sprintf("journal_size_limit(%d)", walLimitBytes),
	}
}

func connect(path string, conns int, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {fmt.Sprintf("busy_timeout(%d)", busyTimeoutMs)}}
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// SQL is the one writing connection, for adapters that keep tables of their
// own in the same file. A transaction on it is the only one at its time:
// whoever holds it holds up every other write.
func (d *DB) SQL() *sql.DB { return d.writer }

// Ping reports whether the database answers.
func (d *DB) Ping(ctx context.Context) error {
	var one int
	return d.readers.QueryRowContext(ctx, "SELECT 1 FROM sqlite_schema LIMIT 1").Scan(&one)
}

// Close closes the database. Nothing may be under way.
func (d *DB) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, db := range []*sql.DB{d.readers, d.writer} { // the writer last: it folds the log in
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}
