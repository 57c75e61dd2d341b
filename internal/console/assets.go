package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed static
var static embed.FS

// assets are the files under static/assets and static/vendor. Their paths
// carry one hash of them all, so that modules may import one another by
// relative paths and every file may be cached for ever.
type assets struct {
	prefix string // "/assets/" and the hash, no slash at the end
	files  map[string]asset
}

type asset struct {
	contentType string
	body        []byte
	gzipped     func() []byte // nil where it is no gain
}

func loadAssets() (*assets, error) {
	a := &assets{files: map[string]asset{}}
	all := sha256.New()
	for _, dir := range []string{"static/assets", "static/vendor"} {
		err := fs.WalkDir(static, dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			kind, ok := contentType(name)
			if !ok {
				return fmt.Errorf("%s: no content type for this ending", name)
			}
			body, err := static.ReadFile(name)
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(all, "%s %d\n", name, len(body)) // a hash takes everything
			_, _ = all.Write(body)
			f := asset{contentType: kind, body: body}
			if len(body) > 1024 {
				f.gzipped = sync.OnceValue(func() []byte { return compress(body) })
			}
			a.files[strings.TrimPrefix(strings.TrimPrefix(name, "static/"), "assets/")] = f
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	a.prefix = "/assets/" + hex.EncodeToString(all.Sum(nil)[:8])
	return a, nil
}

func contentType(name string) (string, bool) {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8", true
	case ".css":
		return "text/css; charset=utf-8", true
	case ".svg":
		return "image/svg+xml", true
	case "", ".txt": // licences
		return "text/plain; charset=utf-8", true
	}
	return "", false
}

func compress(body []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(body) // a bytes.Buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	cache := "public, max-age=31536000, immutable"
	name, ok := strings.CutPrefix(r.URL.Path, a.prefix+"/")
	if r.URL.Path == "/favicon.ico" {
		name, ok, cache = "icon.svg", true, "public, max-age=3600"
	}
	f, found := a.files[name]
	if !ok || !found {
		writeProblem(w, r, http.StatusNotFound, "NOT_FOUND", "there is no such file; reload the page that asked for it")
		return
	}
	head := w.Header()
	head.Set("Content-Type", f.contentType)
	head.Set("Cache-Control", cache)
	head.Set("Vary", "Accept-Encoding")
	body := f.body
	if f.gzipped != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		head.Set("Content-Encoding", "gzip")
		body = f.gzipped()
	}
	_, _ = w.Write(body) // the viewer may have gone
}
