package dynamo

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// attrUses counts who names a profile. It stands beside the document, which
// it does not change.
const attrUses = "uses"

func revisionKey(id broadcast.ProfileID, revision uint64) item {
	return key("PROFILE#"+string(id), "REVISION#"+ordered(revision))
}

// saveProfiles writes profiles with their next revision, counts who names
// them, and removes those that nothing names.
func (w *writer) saveProfiles() error {
	for _, p := range w.c.Profiles {
		v := p.Version
		p.Version++
		it := listed(single("PROFILE", string(p.ID)), "PROFILE", string(p.ID), p.AppID, "", "")
		delete(it, attrOfAll)
		it[attrUses] = number(uint64(max(p.Uses, 0))) // #nosec G115 -- not negative
		e := absent()
		if v > 0 { // the whole item is replaced: it keeps the count that was read
			e = where("#version = :version AND #uses = :uses", item{"version": number(v), "uses": it[attrUses]})
		} else {
			it[attrUses] = number(0)
		}
		if err := w.save(it, v, p, e); err != nil {
			return err
		}
		kept := revisionKey(p.ID, p.Version)
		if err := document(kept, p); err != nil {
			return err
		}
		w.put(kept, absent())
	}
	for _, u := range w.c.ProfileUses {
		it := single("PROFILE", string(u.ID))
		text := "SET #uses = #uses + :by"
		by := u.By
		if by < 0 {
			text, by = "SET #uses = #uses - :by", -by
		}
		exists := where("attribute_exists(#pk)", nil)
		w.add(it, types.TransactWriteItem{Update: &types.Update{
			TableName: w.table, Key: it, UpdateExpression: aws.String(text), ConditionExpression: exists.condition(),
			ExpressionAttributeNames:  names(text, exists.text),
			ExpressionAttributeValues: bind(item{"by": number(uint64(by))}), // #nosec G115 -- not negative
		}})
	}
	for _, p := range w.c.DeleteProfiles {
		w.delete(single("PROFILE", string(p.ID)), where("#version = :version AND #uses = :none",
			item{"version": number(p.Version), "none": number(0)}))
	}
	return nil
}

// Profile answers the newest revision of a profile.
func (s *Store) Profile(ctx context.Context, id broadcast.ProfileID) (control.TranscodingProfile, error) {
	it, err := s.get(ctx, single("PROFILE", string(id)))
	var p control.TranscodingProfile
	if err == nil {
		p, err = decode[control.TranscodingProfile](it)
	}
	if err != nil {
		return control.TranscodingProfile{}, fmt.Errorf("read profile %s: %w", id, err)
	}
	p.Uses = int(numberOf(it, attrUses)) // #nosec G115 -- a count
	return p, nil
}

// ProfileRevision answers a revision that was made.
func (s *Store) ProfileRevision(ctx context.Context, id broadcast.ProfileID, revision uint64) (control.TranscodingProfile, error) {
	it, err := s.get(ctx, revisionKey(id, revision))
	var p control.TranscodingProfile
	if err == nil {
		p, err = decode[control.TranscodingProfile](it)
	}
	if err != nil {
		return control.TranscodingProfile{}, fmt.Errorf("read revision %d of profile %s: %w", revision, id, err)
	}
	return p, nil
}

// Profiles lists an app's own profiles.
func (s *Store) Profiles(ctx context.Context, app broadcast.AppID, p control.Page) (control.List[control.TranscodingProfile], error) {
	l := listing[control.TranscodingProfile]{
		name: "profiles", index: attrOfApp, hash: "PROFILE#" + string(app), sortBy: attrID, ascending: p.Ascending, sure: true,
		keep: func(v control.TranscodingProfile) bool { return v.AppID == app },
	}
	return l.read(ctx, s, p)
}
