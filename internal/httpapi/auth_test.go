package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// fill gives a path pattern's parameters values.
func fill(pattern string) string {
	return strings.NewReplacer("{appUserId}", "kim", "{id}", "x_1").Replace(pattern)
}

func TestEveryOperationRefusesWrongCredentials(t *testing.T) {
	w := newWorld(t)
	member := w.login(w.acme, "kim")
	owners := map[side]string{serverAPI: w.acme.basic(), clientAPI: member, operatorAPI: "Bearer " + operatorToken}
	wrong := []string{
		"", "Basic", "Bearer", "Bearer ", "Basic !!!", "Digest x", "Bearer x.y.z",
		"Basic " + basic(w.acme.key, w.acme.secret+"x"), "Basic " + basic(w.acme.key, ""), "Basic " + basic("", ""),
		"Basic " + basic("ak_unknown", w.acme.secret), "Basic " + basic("\x00\xff", "\xff"),
		"Bearer " + operatorToken + "x", "Bearer " + w.acme.secret,
	}
	if len(w.ops) < 30 {
		t.Fatalf("only %d operations", len(w.ops))
	}
	for pattern, op := range w.ops {
		method, path, _ := strings.Cut(fill(pattern), " ")
		for _, auth := range wrong {
			// The body is bad as well: who is not admitted learns nothing of it.
			a := w.want(w.send(method, path, auth, "{"), http.StatusUnauthorized, "INVALID_CREDENTIALS")
			want := "Bearer"
			if _, ok := op.Security[0][string(serverAPI)]; ok {
				want = "Basic"
			}
			if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), want+" realm=") {
				t.Errorf("%s: challenge %q", pattern, a.header.Get("WWW-Authenticate"))
			}
		}
		for s, auth := range owners {
			if _, mine := op.Security[0][string(s)]; !mine {
				w.want(w.send(method, path, auth, "{"), http.StatusForbidden, codeForbidden)
			}
		}
	}
}

func TestTwoCredentialsAreNone(t *testing.T) {
	w := newWorld(t)
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/v2/apps/me", nil)
	r.Header["Authorization"] = []string{w.acme.basic(), "Basic x"}
	w.want(w.do(r), 401, "INVALID_CREDENTIALS")
}

func TestWithoutAnOperatorTokenNobodyIsTheOperator(t *testing.T) {
	w := newWorld(t)
	h, err := New(Options{Service: w.service, TokenKeys: func() [][]byte { return [][]byte{make([]byte, 32)} }, Now: w.clock, IDs: func() string { return "r" }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w.handler = h
	for _, auth := range []string{"Bearer ", "Bearer", "", "Bearer " + operatorToken} {
		w.want(w.send("GET", "/v2/admin/apps", auth, ""), 401, "INVALID_CREDENTIALS")
	}
}

func TestAShortTokenKeyIsRefused(t *testing.T) {
	w := newWorld(t)
	for _, keys := range [][][]byte{nil, {make([]byte, 31)}, {make([]byte, 32), make([]byte, 31)}} {
		o := Options{Service: w.service, TokenKeys: func() [][]byte { return keys }, Now: w.clock, IDs: func() string { return "r" }}
		if _, err := New(o); err == nil {
			t.Errorf("keys %v were enough", keys)
		}
	}
}

// The way that Options.TokenKeys describes: tokens of either key work at every
// step, and those of a key that is dropped do not.
func TestTheTokenKeyIsReplacedWithoutLoggingAnybodyOut(t *testing.T) {
	w := newWorld(t)
	older, newer := bytes.Repeat([]byte("k"), 32), bytes.Repeat([]byte("n"), 40)
	tokens := []string{w.login(w.acme, "kim")}
	for _, keys := range [][][]byte{{older, newer}, {newer, older}} {
		w.serveWith(w.service, keys)
		tokens = append(tokens, w.login(w.acme, "kim"))
		for i, token := range tokens {
			if a := w.send("GET", "/v2/members/me", token, ""); a.status != 200 {
				t.Errorf("token %d with %d keys: %s", i, len(keys), a.raw)
			}
		}
	}
	w.serveWith(w.service, [][]byte{newer})
	w.want(w.send("GET", "/v2/members/me", tokens[1], ""), 401, "INVALID_CREDENTIALS")
	w.want(w.send("GET", "/v2/members/me", tokens[2], ""), 200, "")
}

func TestAMemberTokenOpensTheClientAPIFor24Hours(t *testing.T) {
	w := newWorld(t)
	login := w.want(w.send("POST", "/v2/apps/me/members/login", w.acme.basic(), `{"appUserId":"kim"}`), 200, "")
	if login.text("expiresAt") != "2026-03-02T12:00:00.000Z" || login.text("tokenType") != "Bearer" {
		t.Errorf("login: %s", login.raw)
	}
	auth := "Bearer " + login.text("token")
	if me := w.want(w.send("GET", "/v2/members/me", auth, ""), 200, ""); me.text("appUserId") != "kim" {
		t.Errorf("me: %s", me.raw)
	}
	w.advance(24*time.Hour - time.Second)
	w.want(w.send("GET", "/v2/members/me", strings.Replace(auth, "Bearer", "bearer", 1), ""), 200, "")
	w.advance(time.Second)
	w.want(w.send("GET", "/v2/members/me", auth, ""), 401, "INVALID_CREDENTIALS")
}

func TestATokenOfADeletedMemberIsOver(t *testing.T) {
	w := newWorld(t)
	auth := w.login(w.acme, "kim")
	w.ok(w.send("GET", "/v2/members/me", auth, "")) // known from now on
	w.want(w.send("DELETE", "/v2/apps/me/members/kim", w.acme.basic(), ""), 204, "")
	w.want(w.send("GET", "/v2/members/me", auth, ""), 401, "INVALID_CREDENTIALS")
}

func TestForgedTokensAreRefused(t *testing.T) {
	w := newWorld(t)
	good := strings.TrimPrefix(w.login(w.acme, "kim"), "Bearer ")
	w.want(w.send("GET", "/v2/members/me", "Bearer "+good, ""), 200, "")
	parts := strings.Split(good, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	key := []byte(strings.Repeat("k", 32))
	remake := func(change func(*jwt.Token, jwt.MapClaims), method jwt.SigningMethod, with any) string {
		claims := jwt.MapClaims{}
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatal(err)
		}
		j := jwt.NewWithClaims(method, claims)
		j.Header["kid"] = kidOf(key)
		change(j, claims)
		text, err := j.SignedString(with)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	claim := func(name string, value any) func(*jwt.Token, jwt.MapClaims) {
		return func(_ *jwt.Token, c jwt.MapClaims) {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
	}
	same := func(*jwt.Token, jwt.MapClaims) {}
	// The forger's tools must be able to make a good one, or they prove nothing.
	w.want(w.send("GET", "/v2/members/me", "Bearer "+remake(same, jwt.SigningMethodHS256, key), ""), 200, "")

	other := w.newTenant("Other")
	for name, token := range map[string]string{
		"no signature":         parts[0] + "." + parts[1] + ".",
		"other payload":        parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), "mem_", "mem_0", 1))) + "." + parts[2],
		"alg none":             remake(same, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType),
		"HS384":                remake(same, jwt.SigningMethodHS384, key),
		"other key":            remake(same, jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32))),
		"no kid":               remake(func(j *jwt.Token, _ jwt.MapClaims) { delete(j.Header, "kid") }, jwt.SigningMethodHS256, key),
		"other kid":            remake(func(j *jwt.Token, _ jwt.MapClaims) { j.Header["kid"] = "1" }, jwt.SigningMethodHS256, key),
		"other issuer":         remake(claim("iss", "other"), jwt.SigningMethodHS256, key),
		"other audience":       remake(claim("aud", "other"), jwt.SigningMethodHS256, key),
		"no audience":          remake(claim("aud", nil), jwt.SigningMethodHS256, key),
		"no expiry":            remake(claim("exp", nil), jwt.SigningMethodHS256, key),
		"issued in the future": remake(claim("iat", w.clock().Add(time.Hour).Unix()), jwt.SigningMethodHS256, key),
		"no subject":           remake(claim("sub", nil), jwt.SigningMethodHS256, key),
		"another app":          remake(claim("app", other.id), jwt.SigningMethodHS256, key),
		"unknown member":       remake(claim("sub", "mem_0"), jwt.SigningMethodHS256, key),
		"huge":                 good + strings.Repeat("A", longestToken),
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			w.want(w.send("GET", "/v2/members/me", "Bearer "+token, ""), 401, "INVALID_CREDENTIALS")
		})
	}
}
