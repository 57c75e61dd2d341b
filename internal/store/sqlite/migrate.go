package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// applicationID marks the file as ours (PRAGMA application_id): "room".
const applicationID = 0x726f6f6d

// migrations answers the schema's steps in order: step i leads from schema
// version i to i + 1. A step that was released is never changed.
func migrations() ([]string, error) {
	files, err := migrationFiles.ReadDir("migrations") // sorted by name
	if err != nil {
		return nil, err
	}
	steps := make([]string, len(files))
	for i, f := range files {
		if want := fmt.Sprintf("%04d_", i+1); f.Name()[:len(want)] != want {
			return nil, fmt.Errorf("migration %s should begin with %s", f.Name(), want)
		}
		b, err := migrationFiles.ReadFile("migrations/" + f.Name())
		if err != nil {
			return nil, err
		}
		steps[i] = string(b)
	}
	return steps, nil
}

// probe fails where path is not a database that this program may write. It
// changes nothing.
func probe(ctx context.Context, path string, steps int) error {
	db, err := connect(path, 1)
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, db)
	if err == nil && version > steps {
		err = fmt.Errorf("it has schema version %d and this program knows versions up to %d: use the newer program that wrote it", version, steps)
	}
	return errors.Join(err, db.Close())
}

// migrateTo brings the schema to version len(steps).
func migrateTo(ctx context.Context, db *sql.DB, path string, steps []string, opt Options) error {
	from, err := schemaVersion(ctx, db)
	switch {
	case err != nil:
		return err
	case from == len(steps):
		return nil
	case from > 0:
		if err := backup(ctx, db, path, from, opt); err != nil {
			return fmt.Errorf("back up before migration: %w", err)
		}
	}
	for v := from; v < len(steps); v++ {
		began := opt.Now()
		if err := step(ctx, db, steps[v], v+1); err != nil {
			return fmt.Errorf("migrate to schema version %d: %w", v+1, mapError(err))
		}
		if from > 0 {
			opt.Log.InfoContext(ctx, "database migrated", slog.Int("schema_version", v+1),
				slog.Int("of", len(steps)), slog.Duration("took", opt.Now().Sub(began)))
		}
	}
	return syncDir(filepath.Dir(path))
}

func schemaVersion(ctx context.Context, db *sql.DB) (int, error) {
	var version, application, objects int
	for _, q := range []struct {
		query string
		to    *int
	}{
		{"PRAGMA user_version", &version},
		{"PRAGMA application_id", &application},
		{"SELECT count(*) FROM sqlite_schema", &objects},
	} {
		if err := db.QueryRowContext(ctx, q.query).Scan(q.to); err != nil {
			return 0, mapError(err)
		}
	}
	if application != applicationID && (objects > 0 || version > 0) {
		return 0, errors.New("it is the database of another program")
	}
	return version, nil
}

func step(ctx context.Context, db *sql.DB, script string, version int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it says so and does nothing
	mark := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, version)
	for _, s := range []string{script, mark} {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// backup copies the database to a file next to it, whole or not at all.
func backup(ctx context.Context, db *sql.DB, path string, version int, opt Options) error {
	began := opt.Now()
	name := fmt.Sprintf("%s.v%d-%s.bak", path, version, began.UTC().Format("20060102T150405Z"))
	temp := name + ".part"
	opt.Log.InfoContext(ctx, "backing up the database before its migration", slog.String("to", name))
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", temp); err != nil {
		return errors.Join(mapError(err), ignoreMissing(os.Remove(temp)))
	}
	size, err := syncFile(temp)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, name); err != nil {
		return err
	}
	opt.Log.InfoContext(ctx, "database backed up", slog.String("to", name),
		slog.Int64("size_bytes", size), slog.Duration("took", opt.Now().Sub(began).Round(time.Millisecond)))
	return syncDir(filepath.Dir(path))
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// syncFile makes the file private and durable and answers its size.
func syncFile(path string) (int64, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // #nosec G304 -- the operator's path
	if err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err == nil {
		err = errors.Join(f.Chmod(0o600), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func syncDir(path string) error {
	f, err := os.Open(path) // #nosec G304 -- the operator's path
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
