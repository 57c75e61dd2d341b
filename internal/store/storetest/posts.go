package storetest

import (
	"fmt"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// posts lists posts by every filter while their states change, and deletes one.
func posts(f *fixture) {
	apps := []control.App{f.app(), f.app()}
	states := []broadcast.PostState{broadcast.PostCreated, broadcast.PostProcessed}
	var all []broadcast.VideoPost
	for i := range 8 {
		p := broadcast.VideoPost{
			ID: broadcast.PostID(f.id("post")), AppID: apps[i/4].ID, MemberID: broadcast.MemberID(fmt.Sprint("mem_", i/2)),
			RoomID: "room", State: broadcast.PostCreated, CreatedAt: epoch, ModifiedAt: epoch, Sequence: 1, Revision: 1,
		}
		f.must(f.commit(control.Changes{Posts: []broadcast.VideoPost{p}}))
		p.Version, p.State = 1, states[i%2] // moves from one state's list to another's
		f.must(f.commit(control.Changes{Posts: []broadcast.VideoPost{p}}))
		p.Version = 2
		all = append(all, p)
	}
	id := func(p broadcast.VideoPost) string { return string(p.ID) }
	check := func() {
		for _, app := range []broadcast.AppID{"", apps[0].ID, apps[1].ID} {
			for _, member := range []broadcast.MemberID{"", "mem_0", "mem_3"} {
				for _, state := range append([]broadcast.PostState{""}, states...) {
					want := []string{}
					for _, p := range all {
						if (app == "" || p.AppID == app) && (member == "" || p.MemberID == member) && (state == "" || p.State == state) {
							want = append(want, id(p))
						}
					}
					filter := control.PostFilter{AppID: app, MemberID: member, State: state}
					got := walk(f, control.Page{Limit: 2, Ascending: true}, func(p control.Page) (control.List[broadcast.VideoPost], error) {
						return f.store.Posts(f.ctx, filter, p)
					}, nil)
					f.equal(fmt.Sprintf("posts by %+v", filter), idsOf(got, id), want)
				}
			}
		}
	}
	check()
	newest := must2[control.List[broadcast.VideoPost]](f)(f.store.Posts(f.ctx, control.PostFilter{AppID: apps[1].ID}, control.Page{Limit: 1}))
	f.equal("the newest post", newest.Items, all[7:])

	stale := all[3]
	stale.Version = 1
	f.is("delete as it was", f.commit(control.Changes{DeletePosts: []broadcast.VideoPost{stale}}), control.ErrConflict)
	f.must(f.commit(control.Changes{DeletePosts: all[3:4]}))
	_, err := f.store.Post(f.ctx, all[3].ID)
	f.is("the deleted post", err, control.ErrNotFound)
	f.is("delete again", f.commit(control.Changes{DeletePosts: all[3:4]}), control.ErrConflict)
	all = append(all[:3:3], all[4:]...)
	check()
}
