package sqlite

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// A post of before recordings were made becomes one that a job takes up.
func TestOldPostsAreArchivedAfterTheMigration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "roomcast.db")
	steps, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	old, err := connect(path, 1, durable()...)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if err := migrateTo(t.Context(), old, path, steps[:2], options(&log)); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		`INSERT INTO rooms (id, app_id, member_id, state, version, doc) VALUES ('room_1', 'app_1', 'mem_1', 'ENDED', 1,
			'{"ID":"room_1","PlayID":"play1","RecordFrom":3,"RecordTo":9}')`,
		`INSERT INTO posts (id, app_id, version, doc) VALUES ('post_1', 'app_1', 1,
			'{"ID":"post_1","AppID":"app_1","MemberID":"mem_1","RoomID":"room_1","State":"CREATED","Version":1}')`,
	} {
		if _, err := old.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := Open(path, options(&log))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	list, err := db.Posts(t.Context(), control.PostFilter{MemberID: "mem_1", State: broadcast.PostCreated}, control.Page{Limit: 5})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	if p := list.Items[0]; p.PlayID != "play1" || p.RecordFrom != 3 || p.RecordTo != 9 || p.Sequence != 1 {
		t.Errorf("%+v", p)
	}
	jobs, err := db.DueJobs(t.Context(), time.Unix(1, 0), 5)
	if err != nil || len(jobs) != 1 || jobs[0].Kind != control.JobArchive || jobs[0].PostID != "post_1" || jobs[0].PlayID != "play1" {
		t.Errorf("%+v, %v", jobs, err)
	}
	if err := db.RetryJob(t.Context(), jobs[0]); err != nil {
		t.Error(err)
	}
}
