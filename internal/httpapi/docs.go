package httpapi

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"sync"
)

//go:embed docs
var docsFiles embed.FS

// docsPolicy lets the page load nothing but its own files and call nothing but
// this API.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// serveDocs serves the OpenAPI document and the page that reads it.
func (a *api) serveDocs() error {
	doc := a.huma.OpenAPI()
	if doc.Extensions == nil {
		doc.Extensions = map[string]any{}
	}
	// Written when it is first read: that takes longer than everything else
	// before a Lambda's first request.
	a.serveFile("/openapi.json", "application/json", sync.OnceValues(func() ([]byte, error) { return json.Marshal(doc) }))
	for path, file := range map[string]struct{ name, contentType string }{
		"/docs":          {"index.html", "text/html; charset=utf-8"},
		"/docs/docs.js":  {"docs.js", "text/javascript; charset=utf-8"},
		"/docs/docs.css": {"docs.css", "text/css; charset=utf-8"},
	} {
		content, err := fs.ReadFile(docsFiles, "docs/"+file.name)
		if err != nil {
			return fmt.Errorf("read page of the docs: %w", err)
		}
		a.serveFile(path, file.contentType, func() ([]byte, error) { return content, nil })
	}
	return nil
}

func (a *api) serveFile(path, contentType string, read func() ([]byte, error)) {
	a.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		content, err := read()
		if err != nil {
			a.Log.ErrorContext(r.Context(), "write openapi document", "err", err)
			newProblem(codeInternal, "").write(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Content-Length", strconv.Itoa(len(content)))
		h.Set("Content-Security-Policy", docsPolicy)
		h.Set("Cache-Control", "no-cache")
		_, _ = w.Write(content) // the reader is gone
	})
}
