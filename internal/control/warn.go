package control

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// TypeIngestWarning is the type of the event that an encoder had better change
// something. It comes once in an ingest session for each kind of warning.
const TypeIngestWarning = "ingest.warning"

// maxKinds bounds what a key remembers of a session.
const maxKinds = 32

// warn tells of a lease's warnings that were not told in its session yet. It
// reads the key only where this sweeper has not seen them.
func (w *Sweeper) warn(ctx context.Context, l broadcast.Lease, sight *sighting) error {
	if l.Holder == nil || l.Health == nil || len(l.Health.Warnings) == 0 {
		return nil
	}
	kinds := kindsOf(l.Health.Warnings)
	if slices.Equal(kinds, sight.warned) {
		return nil
	}
	key, _, err := w.s.Store.Key(ctx, l.KeyID)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the key of a warning: %w", err)
	}
	var told []string
	if key.WarnedEpoch == l.Epoch {
		told = strings.Fields(key.Warned)
	}
	all := told
	for _, k := range kinds {
		if !slices.Contains(all, k) && len(all) < maxKinds {
			all = append(all, k)
		}
	}
	if len(all) == len(told) {
		sight.warned = kinds
		return nil
	}
	now := w.s.Now()
	entry := JournalEntry{
		ID: w.s.IDs.New("jnl"), Aggregate: string(key.ID), Version: key.Version + 1, At: now, Kind: EntryEvent, Machine: broadcast.KeyMachine,
		From: string(key.State), On: TypeIngestWarning, To: string(key.State), Actor: Actor{Kind: "sweeper"}, Reason: strings.Join(l.Health.Warnings, "; "),
	}
	key.Warned, key.WarnedEpoch = strings.Join(all, " "), l.Epoch
	key.Sequence++
	shown := key
	err = w.s.Store.Commit(ctx, Changes{ID: w.s.IDs.New("tx"), Keys: []broadcast.StreamKey{key}, Journal: []JournalEntry{entry}, Notices: []Notice{{
		ID: broadcast.EventID(w.s.IDs.New("evt")), AppID: key.AppID, MemberID: key.MemberID, Aggregate: string(key.ID),
		Sequence: key.Sequence, Type: TypeIngestWarning, At: now, Key: &shown, Warnings: l.Health.Warnings,
	}}})
	if errors.Is(err, ErrConflict) {
		return nil // the next pass tells it
	}
	if err != nil {
		return fmt.Errorf("tell the warnings of %s: %w", l.KeyID, err)
	}
	sight.warned = kinds
	return nil
}

// kindsOf names warnings without the numbers in them, which rise.
func kindsOf(warnings []string) []string {
	var kinds []string
	for _, text := range warnings {
		h := fnv.New32a()
		_, _ = h.Write([]byte(strings.Map(func(r rune) rune { // never fails (hash.Hash)
			if r >= '0' && r <= '9' {
				return -1
			}
			return r
		}, text)))
		if kind := fmt.Sprintf("%08x", h.Sum32()); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}
