package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

const (
	revisionSQL = "INSERT INTO profile_revisions (id, revision, doc) VALUES (?, ?, ?)"
	useSQL      = "UPDATE profiles SET uses = uses + ? WHERE id = ?"
	// unusedSQL finds the profile only where nothing names it.
	unusedSQL = "UPDATE profiles SET uses = 0 WHERE id = ? AND uses = 0"
)

// saveProfiles writes profiles with their next revision, counts who names
// them, and removes those that nothing names.
func (d *DB) saveProfiles(ctx context.Context, tx *sql.Tx, c *control.Changes) error {
	for _, p := range c.Profiles {
		v := p.Version
		p.Version++
		if err := d.put.profiles.save(ctx, tx, p.ID, v, p, p.AppID); err != nil {
			return err
		}
		doc, err := json.Marshal(p)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("keep revision %d of profile %s", p.Version, p.ID)
		if err := exactlyOne(ctx, tx, d.write.revision, what, p.ID, int64(p.Version), string(doc)); err != nil { // #nosec G115 -- a count
			return err
		}
	}
	for _, u := range c.ProfileUses {
		if err := exactlyOne(ctx, tx, d.write.use, "name profile "+string(u.ID), u.By, u.ID); err != nil {
			return err
		}
	}
	for _, p := range c.DeleteProfiles {
		if err := exactlyOne(ctx, tx, d.write.unused, "delete profile "+string(p.ID)+" that nothing names", p.ID); err != nil {
			return err
		}
		if err := d.put.profiles.remove(ctx, tx, p.ID, p.Version); err != nil {
			return err
		}
	}
	return nil
}

// Profile answers the newest revision of a profile.
func (d *DB) Profile(ctx context.Context, id broadcast.ProfileID) (control.TranscodingProfile, error) {
	var p control.TranscodingProfile
	var doc []byte
	var uses int
	err := d.row(ctx, "SELECT doc, uses FROM profiles WHERE id = ?", []any{id}, []any{&doc, &uses})
	if err == nil {
		err = json.Unmarshal(doc, &p)
	}
	if err != nil {
		return control.TranscodingProfile{}, fmt.Errorf("read profile %s: %w", id, err)
	}
	p.Uses = uses
	return p, nil
}

// ProfileRevision answers a revision that was made.
func (d *DB) ProfileRevision(ctx context.Context, id broadcast.ProfileID, revision uint64) (control.TranscodingProfile, error) {
	return one[control.TranscodingProfile](ctx, d, "profile revision",
		"SELECT doc FROM profile_revisions WHERE id = ? AND revision = ?", id, int64(revision)) // #nosec G115 -- no such revision
}

// Profiles lists an app's own profiles.
func (d *DB) Profiles(ctx context.Context, app broadcast.AppID, p control.Page) (control.List[control.TranscodingProfile], error) {
	l := listing[control.TranscodingProfile]{
		table: "profiles", order: []string{"id"}, where: []string{"app_id = ?"}, args: []any{app},
		place: func(p control.TranscodingProfile) []any { return []any{p.ID} },
	}
	return l.read(ctx, d, p)
}
