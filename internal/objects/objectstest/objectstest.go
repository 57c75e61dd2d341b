// Package objectstest is the contract of control.Objects as tests: every
// implementation passes them unchanged.
//
// What they add to the words of the interface:
//   - ContentType and CacheControl come back as they were put; what was put as
//     "" is the implementation's own.
//   - An ETag is opaque; equal content of up to 128 KiB under a key has an equal
//     ETag, and the one that Put answered is that of Get and List.
//   - No object's key is another one's directory: a and a/b are not both put.
package objectstest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/roomcast/roomcast/internal/control"
)

// Run runs every test of the contract. open answers empty objects and closes
// what it opened with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) control.Objects) {
	for name, test := range map[string]func(*fixture){
		"what was put comes back":                   roundTrip,
		"headers come back and change with the put": headers,
		"a put in place of another replaces it":     replace,
		"no object is not found":                    missing,
		"a delete removes":                          remove,
		"conditions are kept":                       conditions,
		"of ten writers exactly one wins":           race,
		"of ten makers exactly one wins":            makeRace,
		"readers see whole objects":                 whole,
		"lists are in key order":                    list,
		"lists begin after a key":                   listAfter,
		"keys from outside do not escape":           keys,
		"a cancelled put is an outage":              outage,
		"objects of any size are streamed":          stream,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(&fixture{T: t, o: open(t), ctx: t.Context()})
		})
	}
}

type fixture struct {
	*testing.T
	o   control.Objects
	ctx context.Context // the test's own
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) is(what string, err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Errorf("%s: %v, want %v", what, err, want)
	}
}

func (f *fixture) put(key, body string, opt control.PutOptions) string {
	f.Helper()
	etag, err := f.o.Put(f.ctx, key, [][]byte{[]byte(body)}, opt)
	f.must(err)
	if etag == "" {
		f.Errorf("put %s answered no ETag", key)
	}
	return etag
}

func (f *fixture) get(key, want string) control.ObjectInfo {
	f.Helper()
	body, info, err := f.o.Get(f.ctx, key)
	f.must(err)
	if string(body) != want {
		f.Errorf("%s is %q, want %q", key, body, want)
	}
	if info.Key != key || info.SizeBytes != int64(len(body)) {
		f.Errorf("%s: %+v", key, info)
	}
	return info
}

func (f *fixture) gone(key string) {
	f.Helper()
	_, _, err := f.o.Get(f.ctx, key)
	f.is("get "+key, err, control.ErrNotFound)
}

func roundTrip(f *fixture) {
	big := make([]byte, 1<<20)
	_, _ = rand.Read(big) // never fails
	for key, pieces := range map[string][][]byte{
		"live/p/v.m3u8":        {[]byte("#EXTM3U\n")},
		"live/p/s1-0/v/1.m4s":  {big[:1000], nil, big[1000:]},
		"live/p/s1-0/v/2.m4s":  {},
		"live/p/s1-0/v/3.m4s":  {{0, 1, 2, 255}},
		"with space+plus&=%25": {[]byte("x")},
		"ünïcode/✓.json":       {[]byte("{}")},
	} {
		before := time.Now()
		etag, err := f.o.Put(f.ctx, key, pieces, control.PutOptions{ContentType: "video/mp4"})
		f.must(err)
		info := f.get(key, string(bytes.Join(pieces, nil)))
		if info.ETag != etag {
			f.Errorf("%s: put answered ETag %s, get %s", key, etag, info.ETag)
		}
		if age := info.ModifiedAt.Sub(before); age < -5*time.Second || age > time.Minute {
			f.Errorf("%s was modified at %s, put at %s", key, info.ModifiedAt, before)
		}
	}
}

func headers(f *fixture) {
	check := func(key, contentType, cacheControl string) {
		f.Helper()
		info := f.get(key, "x")
		f.equal(key, []string{info.ContentType, info.CacheControl}, []string{contentType, cacheControl})
		infos, err := f.o.List(f.ctx, key, "", 1)
		f.must(err)
		f.equal("list "+key, infos, []control.ObjectInfo{info})
	}
	const immutable = "public, max-age=31536000, immutable"
	for _, test := range [][3]string{
		{"live/p/v.m3u8", "application/vnd.apple.mpegurl", "max-age=0, s-maxage=1"},
		{"live/p/manifest.mpd", "application/dash+xml", "max-age=0, s-maxage=1"},
		{"live/p/s1-0/v-init.mp4", "video/mp4", immutable},
		{"live/p/s1-0/a-init.mp4", "audio/mp4", immutable},
		{"live/p/s1-0/v/1.m4s", "video/mp4", immutable},
		{"live/p/s1-0/a/1.m4s", "audio/mp4", immutable},
		{"live/p/index/1.json", "application/json", immutable},
		{"posts/1/odd.m4s", "text/plain; charset=utf-8", "private, no-store"},
		{"posts/1/noextension", "image/webp", "max-age=5"},
	} {
		f.put(test[0], "x", control.PutOptions{ContentType: test[1], CacheControl: test[2]})
		check(test[0], test[1], test[2])
	}
	// The same bytes with other headers, back and forth; and after a delete.
	for _, h := range [][2]string{{"text/a", "max-age=1"}, {"video/mp4", immutable}, {"text/b", immutable}, {"text/a", "max-age=1"}} {
		f.put("k/v.m4s", "x", control.PutOptions{ContentType: h[0], CacheControl: h[1]})
		check("k/v.m4s", h[0], h[1])
	}
	f.must(f.o.Delete(f.ctx, "k/v.m4s"))
	f.put("k/v.m4s", "x", control.PutOptions{ContentType: "video/mp4", CacheControl: immutable})
	check("k/v.m4s", "video/mp4", immutable)
	f.must(f.o.Delete(f.ctx, "k/v.m4s"))
	f.put("k/v.m4s", "x", control.PutOptions{ContentType: "text/c", CacheControl: "max-age=3"})
	check("k/v.m4s", "text/c", "max-age=3")
}

func (f *fixture) equal(what string, got, want any) {
	f.Helper()
	if d := cmp.Diff(want, got); d != "" {
		f.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func replace(f *fixture) {
	first := f.put("k", "one", control.PutOptions{})
	second := f.put("k", "two", control.PutOptions{})
	again := f.put("k", "one", control.PutOptions{})
	if first == second || first != again {
		f.Errorf("ETags %s, %s, %s of one, two, one", first, second, again)
	}
	if info := f.get("k", "one"); info.ETag != again {
		f.Errorf("ETag %s, want %s", info.ETag, again)
	}
}

func missing(f *fixture) {
	f.gone("none")
	f.gone("no/such/directory/none")
	f.put("a/b/c", "x", control.PutOptions{})
	f.gone("a/b")
	f.gone("a/b/c/d")
	f.gone("a/b/C")
}

func remove(f *fixture) {
	f.put("a/b/one", "1", control.PutOptions{})
	f.put("a/b/two", "2", control.PutOptions{})
	f.must(f.o.Delete(f.ctx, "a/b/one"))
	f.must(f.o.Delete(f.ctx, "a/b/one"))
	f.must(f.o.Delete(f.ctx, "never/was"))
	f.must(f.o.Delete(f.ctx, "a/b")) // no object
	f.gone("a/b/one")
	f.get("a/b/two", "2")
	f.must(f.o.Delete(f.ctx, "a/b/two"))
	f.put("a/b", "a place of its own now", control.PutOptions{})
	f.must(f.o.Delete(f.ctx, "a/b"))
	f.put("a/b/one", "again", control.PutOptions{IfNoneMatch: true})
	f.get("a/b/one", "again")
}

func conditions(f *fixture) {
	put := func(body string, opt control.PutOptions) (string, error) {
		return f.o.Put(f.ctx, "k", [][]byte{[]byte(body)}, opt)
	}
	_, err := put("x", control.PutOptions{IfMatch: `"0123456789abcdef0123456789abcdef"`})
	f.is("if-match on nothing", err, control.ErrNotFound)
	f.gone("k")
	one, err := put("one", control.PutOptions{IfNoneMatch: true})
	f.must(err)
	_, err = put("x", control.PutOptions{IfNoneMatch: true})
	f.is("if-none-match on something", err, control.ErrConflict)
	_, err = put("one", control.PutOptions{IfNoneMatch: true})
	f.is("if-none-match on the same", err, control.ErrConflict)
	two, err := put("two", control.PutOptions{IfMatch: one})
	f.must(err)
	_, err = put("x", control.PutOptions{IfMatch: one})
	f.is("if-match on another one", err, control.ErrConflict)
	f.get("k", "two")
	_, err = put("two", control.PutOptions{IfMatch: two})
	f.must(err)
	f.must(f.o.Delete(f.ctx, "k"))
	_, err = put("x", control.PutOptions{IfMatch: two})
	f.is("if-match on what is deleted", err, control.ErrNotFound)
	_, err = put("x", control.PutOptions{IfMatch: two, IfNoneMatch: true})
	if err == nil || errors.Is(err, control.ErrConflict) {
		f.Errorf("both conditions: %v, want an error of its own", err)
	}
	f.gone("k")
}

// contend lets ten writers put at once and answers the body that won.
func (f *fixture) contend(round int, opt control.PutOptions) string {
	f.Helper()
	var wg sync.WaitGroup
	var won atomic.Pointer[string]
	var wins atomic.Int64
	begin := make(chan struct{})
	for w := range 10 {
		wg.Go(func() {
			body := fmt.Sprintf("round %d, writer %d", round, w)
			<-begin
			_, err := f.o.Put(f.ctx, "live/p/v.m3u8", [][]byte{[]byte(body)}, opt)
			switch {
			case err == nil:
				wins.Add(1)
				won.Store(&body)
			case !errors.Is(err, control.ErrConflict):
				f.Error(err)
			}
		})
	}
	close(begin)
	wg.Wait()
	if n := wins.Load(); n != 1 {
		f.Fatalf("round %d: %d writers won", round, n)
	}
	return *won.Load()
}

func race(f *fixture) {
	etag := f.put("live/p/v.m3u8", "start", control.PutOptions{})
	for round := range 100 {
		body := f.contend(round, control.PutOptions{IfMatch: etag})
		etag = f.get("live/p/v.m3u8", body).ETag
	}
}

func makeRace(f *fixture) {
	for round := range 20 {
		body := f.contend(round, control.PutOptions{IfNoneMatch: true})
		f.get("live/p/v.m3u8", body)
		f.must(f.o.Delete(f.ctx, "live/p/v.m3u8"))
	}
}

// whole: a reader beside writers sees one of the versions, with its own ETag
// and headers.
func whole(f *fixture) {
	type version struct{ body, contentType string }
	var mu sync.Mutex
	put, read := map[string]version{}, map[string]version{} // by ETag
	write := func(i int) {
		v := version{strings.Repeat("abcd"[i:i+1], 100_000*(i/2+1)), fmt.Sprintf("video/v%d", i)}
		etag := f.put("k/v.m4s", v.body, control.PutOptions{ContentType: v.contentType})
		if before, ok := put[etag]; ok && before != v {
			f.Errorf("%s and %s have ETag %s", before.contentType, v.contentType, etag)
		}
		put[etag] = v
	}
	write(0)
	ctx, cancel := context.WithCancel(f.ctx)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				body, info, err := f.o.Get(f.ctx, "k/v.m4s")
				v := version{string(body), info.ContentType}
				mu.Lock()
				before, ok := read[info.ETag]
				read[info.ETag] = v
				mu.Unlock()
				if err != nil || ok && v != before {
					f.Errorf("read %d bytes of type %s with ETag %s, %d of type %s before (%v)", len(body), v.contentType, info.ETag, len(before.body), before.contentType, err)
					return
				}
			}
		})
	}
	for i := range 40 {
		write(i % 4)
	}
	cancel()
	wg.Wait()
	for etag, v := range read {
		if put[etag] != v {
			f.Errorf("read %d bytes of type %s with ETag %s, which were put so with another", len(v.body), v.contentType, etag)
		}
	}
}

func keys(f *fixture) {
	for _, key := range []string{
		"", "/", "/abs", "a/", "a//b", ".", "..", "../x", "a/../x", "a/..", "./a", "a/./b", "../../etc/passwd",
	} {
		_, err := f.o.Put(f.ctx, key, [][]byte{[]byte("x")}, control.PutOptions{})
		if err == nil {
			f.Errorf("put %q was accepted", key)
		}
		if body, _, err := f.o.Get(f.ctx, key); err == nil {
			f.Errorf("get %q answered %q", key, body)
		}
		_ = f.o.Delete(f.ctx, key) // must do no harm
	}
	f.equal("objects", f.listed("", "", 10), []string{})
}

func outage(f *fixture) {
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	_, err := f.o.Put(ctx, "k", [][]byte{[]byte("x")}, control.PutOptions{})
	if err == nil || errors.Is(err, control.ErrConflict) || errors.Is(err, control.ErrNotFound) || errors.Is(err, control.ErrNoSpace) {
		f.Errorf("a cancelled put: %v, want an outage", err)
	}
}
