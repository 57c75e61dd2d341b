package httpapi

import (
	"context"
	"net/http"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

type memberPut struct {
	AppUserID            string        `json:"appUserId" pattern:"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$" doc:"The app's own user id, case-sensitive" example:"user-42"`
	AppUserName          opt[string]   `json:"appUserName" required:"false" maxLength:"128" example:"Kim"`
	AppUserProfileImgURL opt[string]   `json:"appUserProfileImgUrl" required:"false" maxLength:"1024" doc:"http or https" example:"https://example.com/kim.png"`
	CustomType           opt[string]   `json:"customType" required:"false" maxLength:"50" example:"vip"`
	CustomData           opt[entryMap] `json:"customData" required:"false" maxProperties:"10" doc:"At most 10 entries, keys and values of at most 50 characters; replaces the whole" example:"{\"team\":\"red\"}"`
}

func (p memberPut) of() control.MemberInput {
	return control.MemberInput{
		AppUserID: p.AppUserID, UserName: p.AppUserName.Field, ProfileImgURL: p.AppUserProfileImgURL.Field,
		CustomType: p.CustomType.Field, CustomData: control.DataPatch{Clear: p.CustomData.Set, Entries: entries(p.CustomData.or(nil))},
	}
}

type memberPatch struct {
	AppUserName          opt[string]     `json:"appUserName" required:"false" maxLength:"128" example:"Kim"`
	AppUserProfileImgURL opt[string]     `json:"appUserProfileImgUrl" required:"false" maxLength:"1024" doc:"http or https"`
	CustomType           opt[string]     `json:"customType" required:"false" maxLength:"50"`
	CustomData           opt[customData] `json:"customData" required:"false" doc:"Merged entry by entry; a null entry is removed"`
}

func (p memberPatch) of(ifMatch string) control.MemberInput {
	return control.MemberInput{
		UserName: p.AppUserName.Field, ProfileImgURL: p.AppUserProfileImgURL.Field,
		CustomType: p.CustomType.Field, CustomData: dataPatch(p.CustomData), IfVersion: ifVersion(ifMatch),
	}
}

type MemberPath struct {
	AppUserID string `path:"appUserId" doc:"The app's own user id" example:"user-42"`
}

// memberAnswer is that of create-or-update: 201 for a new member, else 200.
type memberAnswer struct {
	Status int
	ETag   string `header:"ETag"`
	Body   member
}

type login struct {
	Token     string    `json:"token" doc:"Bearer token of the client API" example:"eyJhbGciOiJIUzI1NiIs…"`
	TokenType string    `json:"tokenType" enum:"Bearer"`
	ExpiresAt timestamp `json:"expiresAt"`
	Member    member    `json:"member"`
}

func oneMember(v control.Member, err error) (*one[member], error) {
	return &one[member]{etag(v.Version), memberOf(v)}, err
}

func memberEndpoint(id, method, path, summary, description string, codes ...broadcast.Code) endpoint {
	return endpoint{
		side: serverAPI, id: id, method: method, path: path, tag: "Members",
		summary: summary, description: description, codes: codes,
		body: method == http.MethodPost || method == http.MethodPatch,
	}
}

func (a *api) registerMembers() {
	register(a, memberEndpoint("putMember", http.MethodPost, "/members",
		"Create or update a member", "201 with a new member, whose stream key is made with it; 200 where the appUserId is known: fields that are given replace the stored ones.",
		broadcast.CodeInvalidAppUserID, broadcast.CodeCustomDataTooLarge), a.putMember, a.memberAgain)
	register(a, memberEndpoint("loginMember", http.MethodPost, "/members/login",
		"Issue a member token", "Creates or updates the member like POST /members and answers a token for the client API, valid for 24 hours.",
		broadcast.CodeInvalidAppUserID, broadcast.CodeCustomDataTooLarge), a.loginMember, a.loginAgain)
	register(a, memberEndpoint("listMembers", http.MethodGet, "/members", "List members", "Newest first.",
		broadcast.CodeInvalidCursor),
		func(ctx context.Context, c control.Caller, in *Page) (*listed[member], error) {
			l, err := a.Service.Members(ctx, c, in.of())
			return listOf(l, memberOf), err
		})
	register(a, memberEndpoint("getMember", http.MethodGet, "/members/{appUserId}", "Get a member", "By the app's own user id.",
		broadcast.CodeMemberNotFound),
		func(ctx context.Context, c control.Caller, in *MemberPath) (*one[member], error) {
			return oneMember(a.Service.Member(ctx, c, in.AppUserID))
		})
	register(a, memberEndpoint("updateMember", http.MethodPatch, "/members/{appUserId}", "Change a member",
		"JSON Merge Patch: a field that is left out stays, null clears it.",
		broadcast.CodeMemberNotFound, broadcast.CodeVersionMismatch, broadcast.CodeInvalidAppUserID, broadcast.CodeCustomDataTooLarge),
		a.updateMember)
	register(a, memberEndpoint("deleteMember", http.MethodDelete, "/members/{appUserId}", "Delete a member",
		"With its stream key. While the member is live this needs force=true and ends the show like a force end.",
		broadcast.CodeMemberNotFound, broadcast.CodeMemberIsLive),
		func(ctx context.Context, c control.Caller, in *struct {
			MemberPath
			Force bool `query:"force" doc:"Also while the member is live"`
		},
		) (*none, error) {
			return &none{}, a.Service.DeleteMember(ctx, c, in.AppUserID, in.Force)
		})
	register(a, endpoint{
		side: clientAPI, id: "getSelf", method: http.MethodGet, tag: "Client API", summary: "Get the member itself",
		description: "The member that the token was issued to.",
	}, func(ctx context.Context, c control.Caller, _ *struct{}) (*one[member], error) {
		return oneMember(a.Service.Self(ctx, c))
	})
}

func (a *api) putMember(ctx context.Context, c control.Caller, in *struct{ Body memberPut }) (*memberAnswer, error) {
	m, created, err := a.Service.PutMember(ctx, c, in.Body.of())
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return &memberAnswer{status, etag(m.Version), memberOf(m)}, err
}

func (a *api) loginMember(ctx context.Context, c control.Caller, in *struct{ Body memberPut }) (*struct{ Body login }, error) {
	m, _, err := a.Service.PutMember(ctx, c, in.Body.of())
	if err != nil {
		return nil, err
	}
	return a.loggedIn(m)
}

func (a *api) loggedIn(m control.Member) (*struct{ Body login }, error) {
	token, expires, err := a.tokens.issue(m.AppID, m.ID)
	return &struct{ Body login }{login{token, "Bearer", timestamp{expires}, memberOf(m)}}, err
}

// loginAgain issues a token of its own: tokens are not stored.
func (a *api) loginAgain(ctx context.Context, c control.Caller, in *struct{ Body memberPut }, _ control.OnceRecord) (*struct{ Body login }, error) {
	m, err := a.Service.Member(ctx, c, in.Body.AppUserID)
	if err != nil {
		return nil, err
	}
	return a.loggedIn(m)
}

func (a *api) memberAgain(ctx context.Context, c control.Caller, in *struct{ Body memberPut }, r control.OnceRecord) (*memberAnswer, error) {
	m, err := a.Service.Member(ctx, c, in.Body.AppUserID)
	return &memberAnswer{r.Status, etag(m.Version), memberOf(m)}, err
}

func (a *api) updateMember(ctx context.Context, c control.Caller, in *struct {
	MemberPath
	Guarded
	Body memberPatch
},
) (*one[member], error) {
	return oneMember(a.Service.UpdateMember(ctx, c, in.AppUserID, in.Body.of(in.IfMatch)))
}
