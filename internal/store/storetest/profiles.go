package storetest

import (
	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

func (f *fixture) newProfile(app broadcast.AppID) control.TranscodingProfile {
	p := filled[control.TranscodingProfile](1)
	p.ID, p.AppID, p.Uses, p.Version = broadcast.ProfileID(f.id("prof")), app, 0, 0
	return p
}

// profiles walks a profile through its revisions and its end.
func profiles(f *fixture) {
	app, other := f.app(), f.app()
	p := f.newProfile(app.ID)
	save := func(p control.TranscodingProfile) control.Changes {
		return control.Changes{Profiles: []control.TranscodingProfile{p}}
	}
	remove := func(p control.TranscodingProfile) control.Changes {
		return control.Changes{DeleteProfiles: []control.TranscodingProfile{p}}
	}
	use := func(p control.TranscodingProfile, by int) control.Changes {
		return control.Changes{ProfileUses: []control.UseOfProfile{{ID: p.ID, By: by}}}
	}
	_, err := f.store.Profile(f.ctx, p.ID)
	f.is("no profile yet", err, control.ErrNotFound)
	_, err = f.store.ProfileRevision(f.ctx, p.ID, 1)
	f.is("no revision yet", err, control.ErrNotFound)
	f.is("name what is not there", f.commit(use(p, 1)), control.ErrConflict)

	f.must(f.commit(save(p)))
	f.is("make it again", f.commit(save(p)), control.ErrConflict)
	first := p
	first.Version = 1
	f.equal("profile", must2[control.TranscodingProfile](f)(f.store.Profile(f.ctx, p.ID)), first)

	f.must(f.commit(use(p, 2)))
	second := must2[control.TranscodingProfile](f)(f.store.Profile(f.ctx, p.ID))
	if second.Uses != 2 || second.Version != 1 {
		f.Errorf("named twice: uses %d, version %d", second.Uses, second.Version)
	}
	second.Name = "another"
	f.must(f.commit(save(second)))
	f.is("change it as it was", f.commit(save(second)), control.ErrConflict)
	second.Version = 2
	f.equal("changed", must2[control.TranscodingProfile](f)(f.store.Profile(f.ctx, p.ID)), second)
	f.equal("revision 1", must2[control.TranscodingProfile](f)(f.store.ProfileRevision(f.ctx, p.ID, 1)), first)
	kept := second
	kept.Uses = 0
	f.equal("revision 2", must2[control.TranscodingProfile](f)(f.store.ProfileRevision(f.ctx, p.ID, 2)), kept)

	f.is("delete what is named", f.commit(remove(second)), control.ErrConflict)
	f.must(f.commit(use(p, -1)))
	f.is("delete what is still named", f.commit(remove(second)), control.ErrConflict)
	f.must(f.commit(use(p, -1)))
	f.is("delete as it was", f.commit(remove(first)), control.ErrConflict)

	foreign, newer := f.newProfile(other.ID), f.newProfile(app.ID)
	f.must(f.commit(save(foreign)))
	f.must(f.commit(save(newer)))
	list := func() []string {
		got := walk(f, control.Page{Limit: 1}, func(page control.Page) (control.List[control.TranscodingProfile], error) {
			return f.store.Profiles(f.ctx, app.ID, page)
		}, nil)
		return idsOf(got, func(p control.TranscodingProfile) string { return string(p.ID) })
	}
	f.equal("profiles, newest first", list(), []string{string(newer.ID), string(p.ID)})
	f.must(f.commit(remove(second)))
	_, err = f.store.Profile(f.ctx, p.ID)
	f.is("the deleted profile", err, control.ErrNotFound)
	f.equal("revision 1 of the deleted profile", must2[control.TranscodingProfile](f)(f.store.ProfileRevision(f.ctx, p.ID, 1)), first)
	f.is("name the deleted profile", f.commit(use(p, 1)), control.ErrConflict)
	f.is("delete it again", f.commit(remove(second)), control.ErrConflict)
	f.equal("profiles that are left", list(), []string{string(newer.ID)})
}
