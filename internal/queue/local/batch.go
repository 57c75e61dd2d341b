package local

import (
	"context"
	"database/sql"
	"sync"
)

// maxBatch bounds the operations of one transaction, so that no other writer
// of the file waits long.
const maxBatch = 128

// batch runs operations in transactions that it shares among those who come
// while another transaction is being written: they cost one fsync together.
// There is no goroutine: one of the callers writes for all.
type batch struct {
	db *sql.DB

	mu      sync.Mutex
	pending []*operation
	writing bool
}

type operation struct {
	ctx context.Context // the caller's: it may give up before the operation begins
	run func(context.Context, *sql.Tx) error
	// turn is told once: true = write for all, false = done, err is set.
	turn chan bool
	err  error
}

// do runs f in a transaction. An error of f rolls back all that share it: f
// returns errors of the database only, and answers refusals otherwise. It has
// happened or not when do returns; ctx ends only the wait for its turn.
func (b *batch) do(ctx context.Context, f func(context.Context, *sql.Tx) error) error {
	op := &operation{ctx: ctx, run: f, turn: make(chan bool, 1)}
	b.mu.Lock()
	b.pending = append(b.pending, op)
	if !b.writing {
		b.writing = true
		op.turn <- true
	}
	b.mu.Unlock()
	if <-op.turn {
		b.writeFor(op)
	}
	return op.err
}

// writeFor writes what is pending, first of all own, and hands the turn on.
// Who comes while it waits for the connection is written, too.
func (b *batch) writeFor(own *operation) {
	// The others' operations do not end with the caller who writes them.
	ctx := context.WithoutCancel(own.ctx)
	conn, err := b.db.Conn(ctx)
	b.mu.Lock()
	n := min(len(b.pending), maxBatch)
	ops := b.pending[:n:n]
	b.pending = b.pending[n:]
	b.mu.Unlock()
	if err == nil {
		err = b.write(ctx, conn, ops)
		_ = conn.Close() // back to the pool
	}
	for _, op := range ops {
		if op.err == nil {
			op.err = err
		}
		if op != own {
			op.turn <- false
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.writing = len(b.pending) > 0; b.writing {
		b.pending[0].turn <- true
	}
}

func (b *batch) write(ctx context.Context, conn *sql.Conn, ops []*operation) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return mapError(err)
	}
	for _, op := range ops {
		if op.err = op.ctx.Err(); op.err != nil {
			continue
		}
		if err := op.run(ctx, tx); err != nil {
			_ = tx.Rollback() // a full disk has rolled back already
			return mapError(err)
		}
	}
	return mapError(tx.Commit())
}

// signal wakes everybody who waits.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

// wait answers a channel that the next broadcast closes.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) broadcast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
