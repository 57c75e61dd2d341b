package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

const (
	recordPrefix  = "# roomcast record "
	versionPrefix = "# roomcast version "
	recordVersion = 1
)

// record is what the record line holds. Unknown fields are left out when it is
// read, so that an older program can go on with what a newer one published; a
// change that it must not survive raises Version.
type record struct {
	Version int `json:"version"`
	Presentation
}

func (p Presentation) recordLine() string {
	// Presentation has no field that JSON cannot hold.
	line, err := json.Marshal(record{Version: recordVersion, Presentation: p})
	if err != nil {
		panic("manifest: encode the record: " + err.Error()) //nolint:forbidigo // a field that JSON cannot hold would be this program's bug
	}
	return recordPrefix + string(line) + "\n"
}

func (p Presentation) versionLine() string {
	return fmt.Sprintf("%sepoch=%d counter=%d\n", versionPrefix, p.Epoch, p.Counter)
}

// ParseRecord reads the presentation out of the bytes of v.m3u8. It believes
// nothing: size, syntax, every invariant, and that the playlist around the
// record says the same.
func ParseRecord(body []byte) (Presentation, error) {
	p, err := parseRecord(body)
	if err != nil {
		return Presentation{}, fmt.Errorf("read the record of %s: %w", RecordName, err)
	}
	return p, nil
}

func parseRecord(body []byte) (Presentation, error) {
	list, err := ParsePlaylist(body)
	if err != nil {
		return Presentation{}, err
	}
	var line []byte
	for l := range bytes.Lines(body) {
		if rest, ok := bytes.CutPrefix(l, []byte(recordPrefix)); ok {
			if line != nil {
				return Presentation{}, errors.New("two records")
			}
			line = rest
		}
	}
	if line == nil {
		return Presentation{}, errors.New("no record")
	}
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return Presentation{}, err
	}
	if r.Version != recordVersion {
		return Presentation{}, fmt.Errorf("version %d of the record is not known", r.Version)
	}
	if err := r.validate(); err != nil {
		return Presentation{}, err
	}
	if list.MediaSequence != r.First || len(list.Entries) != len(r.Segments) ||
		list.TargetDuration != r.TargetDuration || list.Ended != r.Ended {
		return Presentation{}, errors.New("record and playlist disagree")
	}
	return r.Presentation, nil
}
