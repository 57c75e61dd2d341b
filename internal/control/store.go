package control

import (
	"context"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// Changes is one transaction: everything in it is written, or nothing. A
// record whose Version is 0 must not exist yet; any other Version must be the
// stored one. The store writes records with Version + 1; what it was handed is
// not changed. A changed condition is ErrConflict. A write whose own effect is
// already there (its answer was lost) is a success: ID tells it.
type Changes struct {
	// ID is random and new for each attempt that follows a fresh read.
	ID      string
	Apps    []App
	APIKeys []APIKey
	Members []Member
	Keys    []broadcast.StreamKey
	Rooms   []broadcast.VideoRoom
	Posts   []broadcast.VideoPost
	Leases  []LeaseWrite
	Strings []KeyString
	Journal []JournalEntry
	Notices []Notice
	Jobs    []Job
	// Delete* remove records under the same version condition.
	DeleteMembers []Member
	// DeleteKeys removes the key, its string and the way from its hash; the
	// lease stays, closed.
	DeleteKeys  []broadcast.StreamKey
	DeleteRooms []broadcast.VideoRoom
	DeletePosts []broadcast.VideoPost
	// Once must not exist yet, or have expired by their CreatedAt; else
	// ErrConflict.
	Once []OnceRecord
	// Endpoints are webhook endpoints; deleting one leaves its cursors.
	Endpoints       []Endpoint
	DeleteEndpoints []Endpoint
	// Profiles are written with their next revision, which is kept for good.
	Profiles []TranscodingProfile
	// DeleteProfiles needs, beside the version, that nothing names them.
	DeleteProfiles []TranscodingProfile
	DeleteAPIKeys  []APIKey
	// DeleteApps removes apps that have nothing left.
	DeleteApps  []App
	ProfileUses []UseOfProfile
}

// LeaseWrite replaces a lease where its stored epoch is still IfEpoch. A
// worker's renewals in between do not disturb it, unless IfRenewals is set and
// the counter has risen. New makes the lease.
type LeaseWrite struct {
	Lease      broadcast.Lease
	IfEpoch    uint64
	IfRenewals *uint64
	New        bool
}

// Page asks for part of a list. Limit is at least 1. Cursor is "" for the
// first page, else what the page before answered.
type Page struct {
	Limit     int
	Cursor    string
	Ascending bool // oldest first; default newest first
}

// List is one page of a list; Next is "" on the last one.
type List[T any] struct {
	Items []T
	Next  string
}

// RoomFilter narrows a list of rooms; zero fields do not.
type RoomFilter struct {
	AppID    broadcast.AppID // "" = all apps: operators only
	MemberID broadcast.MemberID
	State    broadcast.RoomState
}

// PostFilter narrows a list of video posts; zero fields do not.
type PostFilter struct {
	AppID    broadcast.AppID // "" = all apps: operators only
	MemberID broadcast.MemberID
	State    broadcast.PostState
}

// KeyFilter narrows a list of stream keys; zero fields do not.
type KeyFilter struct {
	AppID broadcast.AppID // "" = all apps: operators only
	State broadcast.KeyState
}

// Store keeps the records. Reads are consistent: they see every Commit that
// was answered before they began. A missing record is ErrNotFound; an error
// that is neither ErrNotFound nor ErrConflict is an outage. Safe for
// concurrent use.
type Store interface {
	App(ctx context.Context, id broadcast.AppID) (App, error)
	Apps(ctx context.Context, p Page) (List[App], error)
	APIKey(ctx context.Context, id string) (APIKey, error)
	// APIKeys lists an app's, by id, revoked ones as well.
	APIKeys(ctx context.Context, app broadcast.AppID, p Page) (List[APIKey], error)
	Member(ctx context.Context, id broadcast.MemberID) (Member, error)
	MemberByUser(ctx context.Context, app broadcast.AppID, appUserID string) (Member, error)
	Members(ctx context.Context, app broadcast.AppID, p Page) (List[Member], error)
	// Key answers the key and its lease, read together.
	Key(ctx context.Context, id broadcast.KeyID) (broadcast.StreamKey, broadcast.Lease, error)
	// KeyRecord and KeyOfUser answer the key with its lease and its secret, read
	// together.
	KeyRecord(ctx context.Context, id broadcast.KeyID) (KeyRecord, error)
	KeyOfUser(ctx context.Context, app broadcast.AppID, appUserID string) (KeyRecord, error)
	Keys(ctx context.Context, f KeyFilter, p Page) (List[KeyRecord], error)
	Room(ctx context.Context, id broadcast.RoomID) (broadcast.VideoRoom, error)
	Rooms(ctx context.Context, f RoomFilter, p Page) (List[broadcast.VideoRoom], error)
	Post(ctx context.Context, id broadcast.PostID) (broadcast.VideoPost, error)
	// Posts lists video posts, by id.
	Posts(ctx context.Context, f PostFilter, p Page) (List[broadcast.VideoPost], error)
	// Journal is ordered by Version, then ID, and ascends unless the page says
	// otherwise by Ascending = false.
	Journal(ctx context.Context, aggregate string, p Page) (List[JournalEntry], error)
	ProfileReader
	// Profiles lists an app's own profiles, by id; Uses may be 0.
	Profiles(ctx context.Context, app broadcast.AppID, p Page) (List[TranscodingProfile], error)
	Commit(ctx context.Context, c Changes) error

	// HeldLeases answers leases that somebody holds or whose (epoch, seq) is
	// ahead of their key's fence; order is stable, after is the last key id of
	// the page before.
	HeldLeases(ctx context.Context, after broadcast.KeyID, limit int) ([]broadcast.Lease, error)
	// LiveRooms answers live rooms, oldest go-live first, for the time limits.
	LiveRooms(ctx context.Context, p Page) (List[broadcast.VideoRoom], error)
	// DueJobs answers jobs that are due at now, oldest first.
	DueJobs(ctx context.Context, now time.Time, limit int) ([]Job, error)
	// Job answers one job, due or not.
	Job(ctx context.Context, id string) (Job, error)
	// FinishJob removes a job; RetryJob stores its new Attempts and DueAt.
	FinishJob(ctx context.Context, id string) error
	RetryJob(ctx context.Context, j Job) error
	// ClaimJob is RetryJob where the job is still due at was; else, and where
	// it is gone, ErrConflict. So one of many takes a job, and holds it by a
	// DueAt in the future.
	ClaimJob(ctx context.Context, was time.Time, j Job) error
}

// Publisher is what a worker must know to admit a publish.
type Publisher struct {
	KeyID      broadcast.KeyID
	AppID      broadcast.AppID
	Generation uint64
	// OutputMode is the key's, else the app's default.
	OutputMode broadcast.Mode
	// RoomID is the carried room, RoomMode its mode; "" = no room is carried.
	RoomID    broadcast.RoomID
	RoomMode  broadcast.Mode
	ProfileID broadcast.ProfileID
	Lease     broadcast.Lease
}

// LeaseCondition says what must still be true of a lease when it is taken.
type LeaseCondition struct {
	Generation uint64
	Epoch      uint64
	// Media is the counter that stood still; nil = nobody may hold the lease.
	Media *uint64
}

// Leases is what workers may do in the store: read, and write leases only.
// Errors are as in Store; ErrConflict means that the condition did not hold.
type Leases interface {
	// FindPublisher looks a stream key string up by its hash; at most 2 round trips.
	FindPublisher(ctx context.Context, h broadcast.Hash) (Publisher, error)
	Lease(ctx context.Context, id broadcast.KeyID) (broadcast.Lease, error)
	// TakeLease makes h the holder with epoch + 1 and fresh progress (Mode and
	// Health of p; LastSegment is kept) and answers the new lease.
	TakeLease(ctx context.Context, id broadcast.KeyID, c LeaseCondition, h broadcast.Holder, p broadcast.Progress) (broadcast.Lease, error)
	// RenewLease stores p where epoch and session still hold the lease; without
	// Health in p, the one that is there stays.
	RenewLease(ctx context.Context, id broadcast.KeyID, epoch uint64, s broadcast.SessionID, p broadcast.Progress) error
	// ReleaseLease stores p and removes the holder, under the same condition.
	ReleaseLease(ctx context.Context, id broadcast.KeyID, epoch uint64, s broadcast.SessionID, p broadcast.Progress) error
}
