package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/manifest"
)

// RepairShow is for the start after a power cut, before anybody reads or
// writes: it takes out of a show's manifests the segments that are missing or
// cut short, and answers how many. The record is whole (Whole), and what an
// index object names is there (Durable): so only a few of the newest can be
// affected. at is the time of the new version. An ended show, which is
// Durable, and a play id without a record are left alone.
func RepairShow(ctx context.Context, o Objects, id broadcast.PlayID, at time.Time) (lost int, err error) {
	folder := liveFolder(id)
	body, info, err := o.Get(ctx, folder+manifest.RecordName)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	p, err := manifest.ParseRecord(body)
	if err != nil {
		return 0, err
	}
	if p.Ended {
		return 0, nil
	}
	good, err := lastWhole(ctx, o, folder, p)
	if err != nil {
		return 0, err
	}
	lost = int(p.Last() - good) //nolint:gosec // a window of segments
	if good < p.First {
		return lost, removeShow(ctx, o, folder, p)
	}
	for _, f := range p.Version(p.Epoch, at).Trim(good).Files() {
		etag := ""
		if f.Name == manifest.RecordName {
			etag = info.ETag
		}
		if err := replace(ctx, o, folder+f.Name, f, etag); err != nil {
			return lost, err
		}
	}
	return lost, nil
}

// lastWhole is the last segment of the window up to which all are there.
func lastWhole(ctx context.Context, o Objects, folder string, p manifest.Presentation) (uint64, error) {
	n := max(p.Indexed+1, p.First)
	for ; n <= p.Last(); n++ {
		s := p.IndexOf(n)
		for _, t := range s.Tracks {
			key := fmt.Sprintf("%s%s/%s/%d.m4s", folder, s.Run, t.Name, n)
			found, err := o.List(ctx, key, "", 1)
			if err != nil {
				return 0, err
			}
			if len(found) == 0 || found[0].Key != key || found[0].SizeBytes != t.SizeBytes {
				return n - 1, nil
			}
		}
	}
	return n - 1, nil
}

// removeShow takes away manifests that name nothing any more.
func removeShow(ctx context.Context, o Objects, folder string, p manifest.Presentation) error {
	for _, f := range p.Files() {
		if err := o.Delete(ctx, folder+f.Name); err != nil {
			return err
		}
	}
	return nil
}
