package control

import (
	"context"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// PlayIDs leads viewers to streams. Safe for concurrent use.
type PlayIDs interface {
	// LeaseOfPlayID answers the lease that has the play id now, by a
	// consistent read; ErrNotFound for an id that was closed or never made.
	LeaseOfPlayID(ctx context.Context, id broadcast.PlayID) (broadcast.Lease, error)
}
