package storetest

import (
	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// apiKeys lists the keys of two apps, and removes one app with its keys.
func apiKeys(f *fixture) {
	app, other := f.app(), f.app()
	var made []control.APIKey
	for _, id := range []broadcast.AppID{app.ID, other.ID, app.ID, app.ID} {
		k := control.APIKey{ID: f.id("ak"), AppID: id, CreatedAt: epoch}
		f.must(f.commit(control.Changes{APIKeys: []control.APIKey{k}}))
		k.Version = 1
		made = append(made, k)
	}
	list := func(id broadcast.AppID, ascending bool) []control.APIKey {
		got := walk(f, control.Page{Limit: 2, Ascending: ascending}, func(p control.Page) (control.List[control.APIKey], error) {
			return f.store.APIKeys(f.ctx, id, p)
		}, nil)
		return append([]control.APIKey{}, got...)
	}
	f.equal("keys, oldest first", list(app.ID, true), []control.APIKey{made[0], made[2], made[3]})
	f.equal("keys, newest first", list(app.ID, false), []control.APIKey{made[3], made[2], made[0]})

	stale := made[0]
	stale.Version = 2
	f.is("delete a key as it is not", f.commit(control.Changes{DeleteAPIKeys: []control.APIKey{stale}}), control.ErrConflict)
	f.must(f.commit(control.Changes{DeleteAPIKeys: []control.APIKey{made[0], made[2], made[3]}}))
	_, err := f.store.APIKey(f.ctx, made[0].ID)
	f.is("the deleted key", err, control.ErrNotFound)
	f.equal("keys of the emptied app", list(app.ID, true), []control.APIKey{})
	gone := app
	gone.Version = 7
	f.is("delete the app as it is not", f.commit(control.Changes{DeleteApps: []control.App{gone}}), control.ErrConflict)
	f.must(f.commit(control.Changes{DeleteApps: []control.App{app}}))
	_, err = f.store.App(f.ctx, app.ID)
	f.is("the deleted app", err, control.ErrNotFound)
	f.is("delete it again", f.commit(control.Changes{DeleteApps: []control.App{app}}), control.ErrConflict)
	apps := must2[control.List[control.App]](f)(f.store.Apps(f.ctx, control.Page{Limit: 5}))
	f.equal("apps that are left", apps.Items, []control.App{other})
	f.equal("keys of the other app", list(other.ID, true), []control.APIKey{made[1]})
}
