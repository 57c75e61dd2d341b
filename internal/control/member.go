package control

import (
	"context"
	"errors"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// streamKeyBytes is the strength of a stream key string.
const streamKeyBytes = 24

// PutMember creates a member, with its stream key and lease in the same write,
// or updates the one that has this appUserId.
func (s *Service) PutMember(ctx context.Context, c Caller, in MemberInput) (m Member, created bool, err error) {
	err = s.retry(ctx, func() error {
		m, err = s.Store.MemberByUser(ctx, c.AppID, in.AppUserID)
		created = errors.Is(err, ErrNotFound)
		if invalid := in.check(m.CustomData); invalid != nil && (created || err == nil) {
			return invalid
		}
		switch {
		case created:
			m, err = s.createMember(ctx, c, in)
		case err == nil && in.changes():
			m, err = s.saveMember(ctx, m, in)
		}
		return err
	})
	return m, created, err
}

func (s *Service) createMember(ctx context.Context, c Caller, in MemberInput) (Member, error) {
	now := s.Now()
	m := Member{
		ID: broadcast.MemberID(s.IDs.New("mem")), KeyID: broadcast.KeyID(s.IDs.New("key")),
		AppID: c.AppID, AppUserID: in.AppUserID, CreatedAt: now, ModifiedAt: now,
	}
	in.apply(&m)
	text := s.IDs.Secret(streamKeyBytes)
	key := broadcast.StreamKey{
		ID: m.KeyID, AppID: m.AppID, MemberID: m.ID, AppUserID: m.AppUserID, State: broadcast.KeyInactive,
		TranscodingProfileID: "", Hash: HashSecret(text), Generation: 1, CreatedAt: now, ModifiedAt: now,
	}
	lease := broadcast.Lease{KeyID: m.KeyID, KeyGeneration: 1, PlayID: s.newPlayID()}
	err := s.Store.Commit(ctx, Changes{
		ID: s.IDs.New("tx"), Members: []Member{m}, Keys: []broadcast.StreamKey{key},
		Leases:  []LeaseWrite{{Lease: lease, New: true}},
		Strings: []KeyString{{KeyID: m.KeyID, String: text, Hash: key.Hash, Generation: 1}},
	})
	m.Version = 1
	return m, err
}

func (s *Service) newPlayID() broadcast.PlayID { return broadcast.PlayID(s.IDs.Secret(16)) }

func (s *Service) saveMember(ctx context.Context, m Member, in MemberInput) (Member, error) {
	if err := checkVersion(in.IfVersion, m.Version); err != nil {
		return Member{}, err
	}
	in.apply(&m)
	m.ModifiedAt = s.Now()
	err := s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), Members: []Member{m}})
	m.Version++
	return m, lostUpdate(err, in.IfVersion)
}

// Self answers the member that calls; one that was deleted meanwhile is
// INVALID_CREDENTIALS.
func (s *Service) Self(ctx context.Context, c Caller) (Member, error) {
	m, err := s.Store.Member(ctx, c.MemberID)
	if errors.Is(err, ErrNotFound) {
		err = errCredentials
	}
	return m, err
}

// Member answers one of the caller's app.
func (s *Service) Member(ctx context.Context, c Caller, appUserID string) (Member, error) {
	m, err := s.Store.MemberByUser(ctx, c.AppID, appUserID)
	return m, notFound(err, broadcast.CodeMemberNotFound, "member")
}

// Members lists those of the caller's app.
func (s *Service) Members(ctx context.Context, c Caller, p Page) (List[Member], error) {
	return s.Store.Members(ctx, c.AppID, p)
}

// UpdateMember changes a member; in.AppUserID is not looked at.
func (s *Service) UpdateMember(ctx context.Context, c Caller, appUserID string, in MemberInput) (Member, error) {
	in.AppUserID = appUserID
	var m Member
	err := s.retry(ctx, func() error {
		var err error
		if m, err = s.Member(ctx, c, appUserID); err != nil {
			return err
		}
		if err := in.check(m.CustomData); err != nil {
			return err
		}
		m, err = s.saveMember(ctx, m, in)
		return err
	})
	return m, err
}

// DeleteMember removes a member and its stream key. While it is live that
// needs force: the show is then ended like a force end.
func (s *Service) DeleteMember(ctx context.Context, c Caller, appUserID string, force bool) error {
	m, err := s.Member(ctx, c, appUserID)
	if err != nil {
		return err
	}
	_, err = s.run(ctx, step{
		actor: c.Actor,
		load: func(ctx context.Context) (broadcast.State, error) {
			st, err := s.loadKey(ctx, m.KeyID)
			if err == nil && st.Key.State.Live() && !force {
				return st, &broadcast.Refusal{
					Code: broadcast.CodeMemberIsLive, State: string(st.Key.State),
					Allowed: broadcast.KeyActions(st.Key.State), Message: "the member is live; delete with force=true",
				}
			}
			return st, err
		},
		in: s.forceEnd(s.IDs.Secret(streamKeyBytes), false),
		also: func(ch *Changes, out broadcast.Outcome) {
			key := out.Key
			ch.Keys, ch.DeleteKeys = nil, []broadcast.StreamKey{key}
			ch.DeleteMembers = []Member{m}
			ch.ProfileUses = moved(key.TranscodingProfileID, "")
		},
	})
	s.knownMembers.forget(string(m.ID))
	return err
}

// check says what is wrong with the input to a member with this custom data.
func (in MemberInput) check(data map[string]string) error {
	var v invalid
	v.appUserID(in.AppUserID)
	if in.UserName.Value != nil {
		v.text("appUserName", *in.UserName.Value, maxName)
	}
	if in.ProfileImgURL.Value != nil {
		v.imageURL("appUserProfileImgUrl", *in.ProfileImgURL.Value)
	}
	if in.CustomType.Value != nil {
		v.text("customType", *in.CustomType.Value, maxCustom)
	}
	if in.CustomData.changes() {
		v.customData(in.CustomData.apply(data))
	}
	return v.err()
}

func (in MemberInput) changes() bool {
	return in.UserName.Set || in.ProfileImgURL.Set || in.CustomType.Set || in.CustomData.changes()
}

func (in MemberInput) apply(m *Member) {
	set(&m.UserName, in.UserName)
	set(&m.ProfileImgURL, in.ProfileImgURL)
	set(&m.CustomType, in.CustomType)
	m.CustomData = in.CustomData.apply(m.CustomData)
}
