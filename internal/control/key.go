package control

import (
	"context"
	"errors"
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
	st := broadcast.State{Key: key, Lease: lease}
	if key.RoomID == "" {
		return st, nil
	}
	room, err := s.Store.Room(ctx, key.RoomID)
	if err != nil {
		return st, err // a carried room is never deleted: an outage
	}
	st.Room = &room
	return st, nil
}

// ownKey is loadKey behind the caller's rights: what is not theirs is not
// there. id "" is the calling member's own key.
func (s *Service) ownKey(ctx context.Context, c Caller, id broadcast.KeyID) (broadcast.State, error) {
	if id == "" {
		m, err := s.Self(ctx, c)
		if err != nil {
			return broadcast.State{}, err
		}
		id = m.KeyID
	}
	st, err := s.loadKey(ctx, id)
	if err == nil && (st.Key.AppID != c.AppID || c.MemberID != "" && st.Key.MemberID != c.MemberID) {
		err = refuse(broadcast.CodeKeyNotFound, "there is no such stream key")
	}
	return st, err
}

// Key answers a stream key with its secret; id "" is the calling member's own.
func (s *Service) Key(ctx context.Context, c Caller, id broadcast.KeyID) (KeyView, error) {
	st, err := s.ownKey(ctx, c, id)
	if err != nil {
		return KeyView{}, err
	}
	return s.keyView(ctx, st.Key, st.Lease)
}

// KeyOfMember answers the stream key of a member of the caller's app.
func (s *Service) KeyOfMember(ctx context.Context, c Caller, appUserID string) (KeyView, error) {
	m, err := s.Member(ctx, c, appUserID)
	if err != nil {
		return KeyView{}, err
	}
	return s.Key(ctx, c, m.KeyID)
}

// Keys lists the stream keys of the caller's app; state "" = all.
func (s *Service) Keys(ctx context.Context, c Caller, state broadcast.KeyState, p Page) (List[KeyView], error) {
	return s.keyViews(ctx, KeyFilter{AppID: c.AppID, State: state}, p)
}

// AllKeys lists the stream keys of every app, without their secrets, for operators.
func (s *Service) AllKeys(ctx context.Context, state broadcast.KeyState, p Page) (List[broadcast.StreamKey], error) {
	return s.Store.Keys(ctx, KeyFilter{State: state}, p)
}

func (s *Service) keyViews(ctx context.Context, f KeyFilter, p Page) (List[KeyView], error) {
	keys, err := s.Store.Keys(ctx, f, p)
	list := List[KeyView]{Next: keys.Next}
	for _, k := range keys.Items {
		_, lease, err := s.Store.Key(ctx, k.ID)
		if errors.Is(err, ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return list, err
		}
		view, err := s.keyView(ctx, k, lease)
		if err != nil {
			return list, err
		}
		list.Items = append(list.Items, view)
	}
	return list, err
}

func (s *Service) keyView(ctx context.Context, k broadcast.StreamKey, l broadcast.Lease) (KeyView, error) {
	text, err := s.Store.KeyString(ctx, k.ID)
	if err != nil {
		return KeyView{}, notFound(err, broadcast.CodeKeyNotFound, "stream key")
	}
	v := KeyView{Key: k, Lease: l, String: text, IngestURL: s.URLs.RTMP + "/live"}
	switch k.State {
	case broadcast.KeyActive, broadcast.KeyActiveLive, broadcast.KeyInactiveLive, broadcast.KeyActiveLivePrep:
		v.Playback = s.playback(l.PlayID, k.Mode)
	case broadcast.KeyInactive, broadcast.KeyActivePrep:
	}
	return v, nil
}

// UpdateKey changes a key's settings; they count from the next publish on.
func (s *Service) UpdateKey(ctx context.Context, c Caller, id broadcast.KeyID, p KeyPatch) (KeyView, error) {
	var st broadcast.State
	err := s.retry(ctx, func() error {
		var err error
		if st, err = s.ownKey(ctx, c, id); err != nil {
			return err
		}
		if err := checkVersion(p.IfVersion, st.Key.Version); err != nil {
			return err
		}
		if err := s.checkKeyPatch(ctx, c, p); err != nil {
			return err
		}
		was := st.Key.TranscodingProfileID
		set(&st.Key.OutputMode, p.OutputMode)
		set(&st.Key.TranscodingProfileID, p.TranscodingProfileID)
		st.Key.ModifiedAt = s.Now()
		err = s.Store.Commit(ctx, Changes{
			ID: s.IDs.New("tx"), Keys: []broadcast.StreamKey{st.Key}, ProfileUses: moved(was, st.Key.TranscodingProfileID),
		})
		return lostUpdate(err, p.IfVersion)
	})
	if err != nil {
		return KeyView{}, err
	}
	st.Key.Version++
	return s.keyView(ctx, st.Key, st.Lease)
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

// NoticeReissued is the notice of a new stream key string: the only one of a
// key or room that is of no transition.
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
	var old broadcast.Hash
	out, err := s.run(ctx, step{
		actor: c.Actor, in: in,
		load: func(ctx context.Context) (broadcast.State, error) {
			st, err := s.ownKey(ctx, c, id)
			old = st.Key.Hash
			return st, err
		},
		also: func(ch *Changes, out broadcast.Outcome) {
			if also != nil {
				also(ch, out, old)
			}
		},
	})
	if err != nil {
		return KeyView{}, err
	}
	return s.keyView(ctx, out.Key, out.Lease)
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
