package httpapi

import (
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast/internal/broadcast"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// describe is the head of the OpenAPI document and Huma's configuration:
// strict JSON in, plain JSON out, no pages of Huma's.
func describe() huma.Config {
	config := huma.DefaultConfig("roomcast", "2")
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.CreateHooks = nil // no $schema in answers
	config.Info.Description = "Live video rooms for any app. Errors are application/problem+json (RFC 9457); branch on errorCode. " +
		"Every answer carries X-Request-Id. Times are ISO 8601 in UTC; a field without a value is null and never left out."
	config.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	config.Info.Contact = &huma.Contact{Name: "roomcast", URL: "https://github.com/roomcast/roomcast"}
	config.Servers = []*huma.Server{{URL: "/"}}
	config.Tags = []*huma.Tag{
		{Name: "App", Description: "Server API: the app itself"},
		{Name: "Members", Description: "Server API: the app's users"},
		{Name: "Stream keys", Description: "Server API: who may publish"},
		{Name: "Video rooms", Description: "Server API: the shows"},
		{Name: "Video posts", Description: "Server API: the recordings"},
		{Name: "Transcoding profiles", Description: "Server API: what streams and recordings are encoded to"},
		{Name: "Events", Description: "Server API: what happened, as a feed and by webhooks"},
		{Name: "Client API", Description: "For a member's device"},
		{Name: "Operator", Description: "For who runs the installation"},
	}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		string(serverAPI):   {Type: "http", Scheme: "basic", Description: "An app's backend: apiKey:apiSecret"},
		string(clientAPI):   {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "A member's device: the token that members/login answers, valid for 24 hours"},
		string(operatorAPI): {Type: "http", Scheme: "bearer", Description: "The operator of the installation"},
	}
	return config
}

// finish brings the document to what is served: null among the values of
// nullable enums, merge patches by their own name, both answers of
// create-or-update, no schema that nobody uses.
func finish(doc *huma.OpenAPI) {
	schemas := doc.Components.Schemas.Map()
	delete(schemas, "ErrorModel")
	delete(schemas, "ErrorDetail")
	doc.Components.Examples = map[string]*huma.Example{}
	for _, code := range codes() {
		p := example(code)
		doc.Components.Examples[string(code)] = &huma.Example{Summary: p.Title, Value: p}
	}
	for _, s := range schemas {
		for _, p := range s.Properties {
			if p.Nullable && len(p.Enum) > 0 && p.Enum[len(p.Enum)-1] != nil {
				p.Enum = append(p.Enum, nil)
			}
		}
	}
	members := doc.Paths[serverAPI.prefix()+"/members"].Post.Responses
	made := *members["200"]
	made.Description = "Created"
	members["201"] = &made
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Patch, item.Delete} {
			if op != nil {
				addExamples(doc, op)
			}
		}
		if item.Post != nil {
			markReplayed(item.Post)
		}
		if item.Patch != nil {
			content := item.Patch.RequestBody.Content
			content[typeMergePatch] = content[typeJSON]
		}
	}
}

// OpenAPI is the document that /openapi.json serves, as YAML: it is made from
// the code and the same at every call.
func OpenAPI() ([]byte, error) {
	doc, err := newAPI(Options{}).huma.OpenAPI().YAML()
	if err != nil {
		return nil, fmt.Errorf("write openapi document: %w", err)
	}
	return doc, nil
}

// codes lists every error code that callers can meet, in the order of
// broadcast and then of the transport.
func codes() []broadcast.Code {
	return []broadcast.Code{
		broadcast.CodeRoomNotScheduled, broadcast.CodeRoomNotLiveInactive, broadcast.CodeRoomNotLive, broadcast.CodeRoomIsLive, broadcast.CodePostNotFailed,
		broadcast.CodeKeyNotActive, broadcast.CodeKeyBusy, broadcast.CodeKeyNotInactive, broadcast.CodeKeyNotInactiveLive,
		broadcast.CodeMemberIsLive, broadcast.CodeAppNotFound, broadcast.CodeMemberNotFound, broadcast.CodeKeyNotFound,
		broadcast.CodeRoomNotFound, broadcast.CodePostNotFound, broadcast.CodeProfileNotFound, broadcast.CodeAPIKeyNotFound, broadcast.CodeAppNotEmpty, broadcast.CodeProfileInUse, broadcast.CodeProfileReadOnly, broadcast.CodeInvalidCredentials,
		broadcast.CodeInvalidField, broadcast.CodeInvalidAppUserID, broadcast.CodeCustomDataTooLarge, broadcast.CodeInvalidCursor,
		broadcast.CodeRoomTypeUnavailable, broadcast.CodeRoomNotBroadcast, broadcast.CodeVersionMismatch, broadcast.CodeIdempotencyKeyReused, broadcast.CodeBusy,
		broadcast.CodeEventNotFound, broadcast.CodeDeadEventNotFound, broadcast.CodeEndpointNotFound, broadcast.CodeEndpointDisabled, broadcast.CodeTooManyEndpoints,
		codeNotFound, codeMethodNotAllowed, codeMalformedRequest, codeForbidden, codeRequestTimeout, codeBodyTooLarge,
		codeUnsupportedMediaType, codeCallRunning, codeSecretShown, codeRateLimited, codeInternal, codeUnavailable,
	}
}
