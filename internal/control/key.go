package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// refusalAfterDisconnect is how long a disconnected publisher stays refused.
const refusalAfterDisconnect = 30 * time.Second

// loadKey reads a key, its lease and the room that it carries: at most two reads.
func (s *Service) loadKey(ctx context.Context, id broadcast.KeyID) (broadcast.State, error) {
	key, lease, err := s.Store.Key(ctx, id)
	if err != nil {
		return broadcast.State{}, notFound(err, broadcast.CodeKeyNotFound, "stream key")
	}
	return s.withRoom(ctx, broadcast.State{Key: key, Lease: lease})
}

// withRoom reads the room that the key carries.
func (s *Service) withRoom(ctx context.Context, st broadcast.State) (broadcast.State, error) {
	if st.Key.RoomID == "" {
		return st, nil
	}
	room, err := s.Store.Room(ctx, st.Key.RoomID)
	if errors.Is(err, ErrNotFound) {
		// A carried room is never deleted: it ended, and was deleted, in between.
		return st, fmt.Errorf("%w: room %s of stream key %s is gone", ErrConflict, st.Key.RoomID, st.Key.ID)
	}
	if err != nil {
		return st, err
	}
	st.Room = &room
	return st, nil
}

// ownKey reads a key behind the caller's rights: what is not theirs is not
// there. id "" is the calling member's own key.
func (s *Service) ownKey(ctx context.Context, c Caller, id broadcast.KeyID) (KeyRecord, error) {
	if id == "" {
		id = c.KeyID
	}
	if id == "" {
		m, err := s.Self(ctx, c)
		if err != nil {
			return KeyRecord{}, err
		}
		id = m.KeyID
	}
	r, err := s.Store.KeyRecord(ctx, id)
	if err == nil && (r.Key.AppID != c.AppID || c.MemberID != "" && r.Key.MemberID != c.MemberID) {
		err = ErrNotFound
	}
	return r, notFound(err, broadcast.CodeKeyNotFound, "stream key")
}

// Key answers a stream key with its secret; id "" is the calling member's own.
func (s *Service) Key(ctx context.Context, c Caller, id broadcast.KeyID) (KeyView, error) {
	r, err := s.ownKey(ctx, c, id)
	if err != nil {
		return KeyView{}, err
	}
	return s.keyView(r), nil
}

// KeyOfMember answers the stream key of a member of the caller's app.
func (s *Service) KeyOfMember(ctx context.Context, c Caller, appUserID string) (KeyView, error) {
	r, err := s.Store.KeyOfUser(ctx, c.AppID, appUserID)
	if err != nil {
		return KeyView{}, notFound(err, broadcast.CodeMemberNotFound, "member")
	}
	return s.keyView(r), nil
}

// Keys lists the stream keys of the caller's app; state "" = all.
func (s *Service) Keys(ctx context.Context, c Caller, state broadcast.KeyState, p Page) (List[KeyView], error) {
	keys, err := s.Store.Keys(ctx, KeyFilter{AppID: c.AppID, State: state}, p)
	list := List[KeyView]{Next: keys.Next}
	for _, r := range keys.Items {
		list.Items = append(list.Items, s.keyView(r))
	}
	return list, err
}

// AllKeys lists the stream keys of every app, without their secrets, for operators.
func (s *Service) AllKeys(ctx context.Context, state broadcast.KeyState, p Page) (List[broadcast.StreamKey], error) {
	keys, err := s.Store.Keys(ctx, KeyFilter{State: state}, p)
	list := List[broadcast.StreamKey]{Next: keys.Next}
	for _, r := range keys.Items {
		list.Items = append(list.Items, r.Key)
	}
	return list, err
}

func (s *Service) keyView(r KeyRecord) KeyView {
	v := KeyView{Key: r.Key, Lease: r.Lease, String: r.String, IngestURL: s.URLs.RTMP + "/live"}
	switch r.Key.State {
	case broadcast.KeyActive, broadcast.KeyActiveLive, broadcast.KeyInactiveLive, broadcast.KeyActiveLivePrep:
		v.Playback = s.playback(r.Lease.PlayID, r.Key.Mode)
	case broadcast.KeyInactive, broadcast.KeyActivePrep:
	}
	return v
}

// UpdateKey changes a key's settings; they count from the next publish on.
func (s *Service) UpdateKey(ctx context.Context, c Caller, id broadcast.KeyID, p KeyPatch) (KeyView, error) {
	var r KeyRecord
	err := s.retry(ctx, func() error {
		var noKey, wrong error
		var both sync.WaitGroup
		both.Go(func() { wrong = s.checkKeyPatch(ctx, c, p) })
		r, noKey = s.ownKey(ctx, c, id)
		both.Wait()
		if noKey != nil {
			return noKey
		}
		if err := checkVersion(p.IfVersion, r.Key.Version); err != nil {
			return err
		}
		if wrong != nil {
			return wrong
		}
		was := r.Key.TranscodingProfileID
		set(&r.Key.OutputMode, p.OutputMode)
		set(&r.Key.TranscodingProfileID, p.TranscodingProfileID)
		r.Key.ModifiedAt = s.Now()
		err := s.Store.Commit(ctx, Changes{
			ID: s.IDs.New("tx"), Keys: []broadcast.StreamKey{r.Key}, ProfileUses: moved(was, r.Key.TranscodingProfileID),
		})
		return lostUpdate(err, p.IfVersion)
	})
	if err != nil {
		return KeyView{}, err
	}
	r.Key.Version++
	return s.keyView(r), nil
}

// checkKeyPatch lists everything that is wrong with it.
func (s *Service) checkKeyPatch(ctx context.Context, c Caller, p KeyPatch) error {
	var v invalid
	if p.OutputMode.Value != nil {
		v.mode("outputMode", *p.OutputMode.Value)
	}
	if err := s.checkProfile(ctx, &v, c, "transcodingProfileId", p.TranscodingProfileID, ProfileLive); err != nil {
		return err
	}
	return v.err()
}

// ReissueKey gives an INACTIVE key a new string; the old one leads nowhere
// from the answer on.
func (s *Service) ReissueKey(ctx context.Context, c Caller, id broadcast.KeyID) (KeyView, error) {
	text := s.IDs.Secret(streamKeyBytes)
	return s.stepKey(ctx, c, id, broadcast.Reissue{PlayID: s.newPlayID(), Hash: HashSecret(text)}, s.newString(text))
}

// ForceTerminateKey ends whatever the key carries, cuts the publisher and
// gives the key a new string, in any state. discard drops the recording.
func (s *Service) ForceTerminateKey(ctx context.Context, c Caller, id broadcast.KeyID, discard bool) (KeyView, error) {
	text := s.IDs.Secret(streamKeyBytes)
	return s.stepKey(ctx, c, id, s.forceEnd(text, discard), s.newString(text))
}

// DisconnectKey cuts the publisher and refuses it for 30 s; the string stays.
func (s *Service) DisconnectKey(ctx context.Context, c Caller, id broadcast.KeyID) (KeyView, error) {
	return s.stepKey(ctx, c, id, broadcast.Revoke{Until: s.Now().Add(refusalAfterDisconnect)}, nil)
}

func (s *Service) forceEnd(text string, discard bool) broadcast.ForceEnd {
	return broadcast.ForceEnd{PlayID: s.newPlayID(), PostID: s.newPostID(), Hash: HashSecret(text), Discard: discard}
}

func (s *Service) newPostID() broadcast.PostID { return broadcast.PostID(s.IDs.New("post")) }

// NoticeReissued is the notice of a new stream key string: with
// TypeIngestWarning the only one of a key or room that is of no transition.
const NoticeReissued = "stream_key.reissued"

// newString stores a key's new string in the transaction that makes it valid,
// and tells the app, which must show it to its user.
func (s *Service) newString(text string) func(*Changes, broadcast.Outcome, broadcast.Hash) {
	return func(c *Changes, out broadcast.Outcome, old broadcast.Hash) {
		if out.Key.Hash == old {
			return // the step kept the string
		}
		c.Strings = append(c.Strings, KeyString{
			KeyID: out.Key.ID, String: text, Hash: out.Key.Hash, Generation: out.Key.Generation, OldHash: old,
		})
		if len(c.Keys) == 0 {
			return // the key is deleted
		}
		key := &c.Keys[0]
		key.Sequence++
		shown := *key
		c.Notices = append(c.Notices, Notice{
			ID: broadcast.EventID(s.IDs.New("evt")), AppID: key.AppID, MemberID: key.MemberID, Aggregate: string(key.ID),
			Sequence: key.Sequence, Type: NoticeReissued, At: s.Now(), Key: &shown,
		})
	}
}

func (s *Service) stepKey(ctx context.Context, c Caller, id broadcast.KeyID, in broadcast.Input,
	also func(*Changes, broadcast.Outcome, broadcast.Hash),
) (KeyView, error) {
	var before KeyRecord
	var text string
	out, err := s.run(ctx, step{
		actor: c.Actor, in: in,
		load: func(ctx context.Context) (broadcast.State, error) {
			var err error
			if before, err = s.ownKey(ctx, c, id); err != nil {
				return broadcast.State{}, err
			}
			text = before.String
			return s.withRoom(ctx, broadcast.State{Key: before.Key, Lease: before.Lease})
		},
		also: func(ch *Changes, out broadcast.Outcome) {
			if also != nil {
				also(ch, out, before.Key.Hash)
			}
			for _, s := range ch.Strings {
				text = s.String
			}
		},
	})
	if err != nil {
		return KeyView{}, err
	}
	return s.keyView(KeyRecord{Key: out.Key, Lease: out.Lease, String: text}), nil
}

func (s *Service) playback(id broadcast.PlayID, m broadcast.Mode) *Playback {
	var p Playback
	if m.CMAF() {
		p.HLSURL = s.URLs.HTTP + "/live/" + string(id) + "/master.m3u8"
		p.DASHURL = s.URLs.HTTP + "/live/" + string(id) + "/manifest.mpd"
	}
	if m.RTMP() {
		p.RTMPURL = s.URLs.RTMP + "/play/" + string(id)
		p.HTTPFLVURL = s.URLs.HTTP + "/flv/" + string(id) + ".flv"
	}
	return &p
}
