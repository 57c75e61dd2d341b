package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/manifest"
)

// errTakenOver: an older epoch's write came first; it was adopted and this
// one's has to be made again on top of it.
var errTakenOver = errors.New("an older session wrote first")

// writeRecord writes v.m3u8 on the condition that it is as this output last
// wrote or read it. When it is acknowledged, p is what is published.
func (o *Output) writeRecord(ctx context.Context, p manifest.Presentation) error {
	body := p.Playlist("v")
	etag, err := o.put(ctx, manifest.File{Name: manifest.RecordName, ContentType: manifest.PlaylistType, Body: body})
	var found *differs
	if errors.As(err, &found) {
		if err := o.lost(found); err != nil {
			return err
		}
		return errTakenOver
	}
	if err != nil {
		return err
	}
	o.live, o.record, o.etags[manifest.RecordName] = p, body, etag
	return nil
}

// lost says what another record than ours means: the end of this session, or
// nil when it is an older session's last write, which is adopted.
func (o *Output) lost(found *differs) error {
	if found.etag == "" {
		return fmt.Errorf("%s was deleted: %w", manifest.RecordName, ErrEnded)
	}
	before := o.live.Epoch
	p, err := o.read(found.body)
	switch {
	case err != nil:
		return err
	case before == o.epoch || p.Epoch == o.epoch:
		// Once this epoch has written, nobody older can: its condition fails.
		return fmt.Errorf("%s was written by somebody else: %w", manifest.RecordName, ErrFenced)
	}
	o.adopt(p, found.body, found.etag)
	return nil
}

// writeOthers completes what derives from the record: the other playlists,
// master.m3u8 where it says something new, the MPD.
func (o *Output) writeOthers(ctx context.Context) error {
	for _, f := range o.live.Derived() {
		if f.Name != manifest.MasterName {
			if err := o.writeDerived(ctx, f); err != nil {
				return err
			}
			continue
		}
		if says := o.masterSays(); says != o.master {
			if err := o.writeDerived(ctx, f); err != nil {
				return err
			}
			o.master = says
		}
	}
	return nil
}

// masterSays is master.m3u8 with the session's epoch only: it is written once
// a session, against a stale writer, and again when a rendition changes.
func (o *Output) masterSays() string {
	p := o.live
	p.Counter = 0
	return string(p.Master())
}

// writeDerived writes a manifest that follows from the record. What it meets
// may be a stale write of a fenced worker; it is overwritten, but only while
// the record is still ours: the manifest's ETag is read first, then the
// record, then the manifest is written on that ETag. A newer session changes
// the record before it changes this manifest, so one of the two looks tells.
func (o *Output) writeDerived(ctx context.Context, f manifest.File) error {
	for range maxTakeovers {
		etag, err := o.put(ctx, f)
		if err == nil {
			o.etags[f.Name] = etag
			return nil
		}
		var found *differs
		if !errors.As(err, &found) {
			return err
		}
		o.etags[f.Name] = found.etag
		if err := o.stillOurs(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s is written by somebody else again and again: %w", f.Name, ErrFenced)
}

// stillOurs answers nil while the record is what this output wrote.
func (o *Output) stillOurs(ctx context.Context) error {
	body, etag, err := o.bucket.get(ctx, manifest.RecordName)
	switch {
	case errors.Is(err, control.ErrNotFound):
		return o.lost(&differs{})
	case err != nil:
		return err
	case bytes.Equal(body, o.record):
		return nil
	}
	return o.lost(&differs{body: body, etag: etag}) // never nil: the record was ours
}

func (o *Output) put(ctx context.Context, f manifest.File) (string, error) {
	durability := control.Fleeting // rendered again from the record
	if f.Name == manifest.RecordName {
		durability = control.Whole
	}
	return o.bucket.put(ctx, f.Name, [][]byte{f.Body}, control.PutOptions{
		ContentType: f.ContentType, CacheControl: manifest.CacheControl, IfMatch: o.etags[f.Name], Durability: durability,
	})
}
