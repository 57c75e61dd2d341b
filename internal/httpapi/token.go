package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// Member tokens are JWTs (RFC 7519) signed with HS256 and nothing else.
const (
	tokenIssuer   = "roomcast"
	tokenAudience = "roomcast/v2/members/me" //nolint:gosec // a name, no credential
	tokenLifetime = 24 * time.Hour
	minTokenKey   = 32   // bytes: as long as the hash (RFC 7518, 3.2)
	longestToken  = 2048 // bytes; ours are under 400
)

// tokens issues and verifies member tokens. Safe for concurrent use.
type tokens struct {
	keys   func() [][]byte // the first signs
	now    func() time.Time
	parser *jwt.Parser
}

type claims struct {
	App string `json:"app"`
	jwt.RegisteredClaims
}

func newTokens(keys func() [][]byte, now func() time.Time) (*tokens, error) {
	first := keys()
	if len(first) == 0 {
		return nil, errors.New("no key of member tokens")
	}
	for _, key := range first {
		if len(key) < minTokenKey {
			return nil, fmt.Errorf("token key has %d bytes; at least %d are needed", len(key), minTokenKey)
		}
	}
	return &tokens{
		keys: keys, now: now,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
			jwt.WithIssuer(tokenIssuer), jwt.WithAudience(tokenAudience),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding(),
			jwt.WithTimeFunc(now),
		),
	}, nil
}

// kidOf names a key without telling it.
func kidOf(key []byte) string {
	sum := sha256.Sum256(append([]byte("roomcast token key id:"), key...))
	return hex.EncodeToString(sum[:8])
}

// issue signs a token for a member and says when it is over.
func (t *tokens) issue(app broadcast.AppID, member broadcast.MemberID) (token string, expires time.Time, err error) {
	// NumericDate holds whole seconds.
	now := t.now().UTC().Truncate(time.Second)
	expires = now.Add(tokenLifetime)
	j := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		App: string(app),
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: tokenIssuer, Audience: jwt.ClaimStrings{tokenAudience}, Subject: string(member),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
		},
	})
	key := t.keys()[0]
	j.Header["kid"] = kidOf(key)
	token, err = j.SignedString(key)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign member token: %w", err)
	}
	return token, expires, nil
}

// verify says whose token it is. Any error means that it is not ours, or over.
func (t *tokens) verify(token string) (broadcast.AppID, broadcast.MemberID, error) {
	if len(token) > longestToken {
		return "", "", errors.New("token is too long")
	}
	var c claims
	_, err := t.parser.ParseWithClaims(token, &c, func(j *jwt.Token) (any, error) {
		kid, _ := j.Header["kid"].(string)
		for _, key := range t.keys() {
			if kidOf(key) == kid {
				return key, nil
			}
		}
		return nil, errors.New("unknown key id")
	})
	if err != nil {
		return "", "", fmt.Errorf("verify member token: %w", err)
	}
	if c.App == "" || c.Subject == "" {
		return "", "", errors.New("token names no member")
	}
	return broadcast.AppID(c.App), broadcast.MemberID(c.Subject), nil
}
