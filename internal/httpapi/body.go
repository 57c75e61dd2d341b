package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

const (
	// maxBody is the largest request body in bytes.
	maxBody = 64 << 10

	typeJSON       = "application/json"
	typeMergePatch = "application/merge-patch+json" // RFC 7396
)

// strictQuery refuses what Huma takes for left out: a number or one of a few
// words that is empty, and what stands twice.
func strictQuery(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	var wrong []fieldError
	if r.URL.RawQuery != "" {
		query := r.URL.Query()
		for _, p := range ctx.Operation().Parameters {
			values, given := query[p.Name]
			switch {
			case !given || p.In != "query":
			case len(values) > 1:
				wrong = append(wrong, fieldError{Field: p.Name, Message: "must stand once"})
			case values[0] == "" && (p.Schema.Type != huma.TypeString || len(p.Schema.Enum) > 0):
				wrong = append(wrong, fieldError{Field: p.Name, Message: "must not be empty"})
			}
		}
	}
	if len(wrong) > 0 {
		invalid(wrong...).write(w, r)
		return
	}
	next(ctx)
}

// strictBody reads the whole body before Huma does and lets only one kind
// through: strict JSON of a bounded size that says that it is JSON.
func strictBody(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	body, p := readBody(w, r)
	if p == nil && len(body) > 0 {
		p = checkBody(r, body)
	}
	if p != nil {
		p.write(w, r)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	next(ctx)
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *problem) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		return body, nil
	}
	var large *http.MaxBytesError
	var slow net.Error
	switch {
	case errors.As(err, &large):
		return nil, newProblem(codeBodyTooLarge, "a body has at most 65536 bytes")
	case errors.As(err, &slow) && slow.Timeout():
		return nil, newProblem(codeRequestTimeout, "")
	}
	return nil, newProblem(codeMalformedRequest, "the body ends before its end")
}

func checkBody(r *http.Request, body []byte) *problem {
	if r.Header.Get("Content-Encoding") != "" {
		return newProblem(codeUnsupportedMediaType, "bodies are sent without Content-Encoding")
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	merge := r.Method == http.MethodPatch && media == typeMergePatch
	if err != nil || (media != typeJSON && !merge) || len(r.Header.Values("Content-Type")) != 1 {
		return newProblem(codeUnsupportedMediaType, "Content-Type must be "+typeJSON)
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return newProblem(codeUnsupportedMediaType, "JSON is UTF-8")
	}
	if err := checkJSON(body); err != nil {
		return newProblem(codeMalformedRequest, err.Error())
	}
	return nil
}
