package dynamo

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// maxPlace is DynamoDB's limit for a sort key, in bytes.
const maxPlace = 1024

// A cursor is the list's name and a place in it, in base64url.
func cursor(list, place string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(list + "\n" + place))
}

// parseCursor answers the place; "" for the first page.
func parseCursor(list, s string) (string, error) {
	if s == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	name, place, ok := strings.Cut(string(b), "\n")
	if err != nil || !ok || name != list || place == "" || len(place) > maxPlace || !utf8.ValidString(place) {
		return "", &broadcast.Refusal{Code: broadcast.CodeInvalidCursor, Message: "the cursor is not one of this list"}
	}
	return place, nil
}
