package packager

import "github.com/roomcast/roomcast/workers/ingest/segment"

// warnings remembers what passes on its way to the sink.
type warnings struct {
	sink segment.Sink
	kept []segment.Warning
}

func (w *warnings) Init(i segment.Init) error       { return w.sink.Init(i) }
func (w *warnings) Segment(s segment.Segment) error { return w.sink.Segment(s) }

// Warn replaces an older warning of the same code.
func (w *warnings) Warn(warning segment.Warning) {
	w.sink.Warn(warning)
	for i := range w.kept {
		if w.kept[i].Code == warning.Code {
			w.kept[i] = warning
			return
		}
	}
	w.kept = append(w.kept, warning)
}

func (w *warnings) list() []string {
	var texts []string
	for _, k := range w.kept {
		texts = append(texts, k.Text)
	}
	return texts
}
