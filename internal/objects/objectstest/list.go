package objectstest

import (
	"strings"

	"github.com/roomcast/roomcast/internal/control"
)

var sorted = []string{
	"a", "b-1", "b.x", "b/1", "b/10", "b/2", "b/c/1", "b/c/2", "b0", "live/p/v.m3u8", "live/p0/v.m3u8", "z",
}

func (f *fixture) listed(prefix, after string, limit int) []string {
	f.Helper()
	infos, err := f.o.List(f.ctx, prefix, after, limit)
	f.must(err)
	keys := []string{}
	for _, info := range infos {
		keys = append(keys, info.Key)
		if info.ETag == "" || info.SizeBytes != int64(len(info.Key)) {
			f.Errorf("%+v", info)
		}
	}
	return keys
}

func (f *fixture) putAll() {
	for i := range sorted {
		key := sorted[(i*5)%len(sorted)] // 5 and 12 have no common divisor
		f.put(key, key, control.PutOptions{})
	}
}

func list(f *fixture) {
	f.putAll()
	for _, prefix := range []string{"", "b", "b/", "b/c", "b/c/", "b/1", "live/p/", "live/p", "none", "b/c/1/", "z"} {
		want := []string{}
		for _, key := range sorted {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		f.equal("list "+prefix, f.listed(prefix, "", 100), want)
		if len(want) > 2 {
			f.equal("list 2 of "+prefix, f.listed(prefix, "", 2), want[:2])
		}
	}
}

func listAfter(f *fixture) {
	f.putAll()
	for _, after := range append([]string{"b", "b/", "b/c", "b/c/", "b/c/10", "live", "zz"}, sorted...) {
		want := []string{}
		for _, key := range sorted {
			if key > after {
				want = append(want, key)
			}
		}
		f.equal("list after "+after, f.listed("", after, 100), want)
	}
	var all []string
	for after := ""; ; after = all[len(all)-1] {
		page := f.listed("", after, 3)
		if len(page) == 0 {
			break
		}
		all = append(all, page...)
	}
	f.equal("all by 3", all, sorted)
}
