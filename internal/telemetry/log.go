// Package telemetry is how every deployed program tells what it does: log
// lines as JSON that carry the ids of what they are about, and metrics, on AWS
// inside the log (EMF), on one machine for Prometheus.
package telemetry

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// The attributes that join log lines, whoever wrote them: the same names
// everywhere (docs/runbook.md).
const (
	Request = "request"
	Session = "session"
	Key     = "key"
	Room    = "room"
	Job     = "job"
)

// Logger writes JSON lines to standard error, from level on.
func Logger(level slog.Level) *slog.Logger { return slog.New(NewHandler(os.Stderr, level)) }

// NewHandler writes JSON lines with what With put into the context. A duration
// is a number of milliseconds, and its name ends in _ms.
func NewHandler(w io.Writer, level slog.Level) slog.Handler {
	return handler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: milliseconds})}
}

func milliseconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindDuration {
		return a
	}
	return slog.Float64(a.Key+"_ms", float64(a.Value.Duration().Microseconds())/1000)
}

// NewTextHandler writes lines for people, with the same.
func NewTextHandler(w io.Writer) slog.Handler { return handler{slog.NewTextHandler(w, nil)} }

// Invoked is With for an invocation of a Lambda function: its request's id is
// that of AWS's own lines.
func Invoked(ctx context.Context) context.Context {
	if of, ok := lambdacontext.FromContext(ctx); ok {
		return With(ctx, slog.String(Request, of.AwsRequestID))
	}
	return ctx
}

type contextKey struct{}

// With makes every line that is logged with the context carry the attributes,
// beside those that it carries already.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	before, _ := ctx.Value(contextKey{}).([]slog.Attr)
	return context.WithValue(ctx, contextKey{}, append(before[:len(before):len(before)], attrs...))
}

type handler struct{ slog.Handler }

// Handle implements slog.Handler. What the line says itself it says once.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	attrs, _ := ctx.Value(contextKey{}).([]slog.Attr)
	if len(attrs) == 0 {
		return h.Handler.Handle(ctx, r)
	}
	said := map[string]bool{}
	r.Attrs(func(a slog.Attr) bool { said[a.Key] = true; return true })
	r = r.Clone()
	for _, a := range attrs {
		if !said[a.Key] {
			r.AddAttrs(a)
		}
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
