package manifest

import "time"

// What a manifest is stored and served as. A manifest may be a second old.
const (
	PlaylistType = "application/vnd.apple.mpegurl"
	MPDType      = "application/dash+xml"
	CacheControl = "max-age=0, s-maxage=1"
	// Immutable is that of media: what has its name keeps its bytes.
	Immutable = "public, max-age=31536000, immutable"
)

// File is one text of a presentation under its name in the play id's folder.
type File struct {
	Name        string
	ContentType string
	Body        []byte
}

// Files renders everything in the order in which it must be written: the
// record first.
func (p Presentation) Files() []File {
	return append([]File{{RecordName, PlaylistType, p.Playlist("v")}}, p.Derived()...)
}

// Derived renders what follows from the record, in the order in which it must
// be written: the master playlist when its playlists are there, the MPD last.
// Of a hidden presentation that is nothing.
func (p Presentation) Derived() []File {
	if p.Hidden {
		return nil
	}
	var files []File
	for _, r := range p.Renditions {
		if PlaylistName(r.Name) != RecordName {
			files = append(files, File{PlaylistName(r.Name), PlaylistType, p.Playlist(r.Name)})
		}
	}
	return append(files, File{MasterName, PlaylistType, p.Master()}, File{MPDName, MPDType, p.MPD()})
}

// Close turns the bytes of v.m3u8 into the ended form of every manifest
// (EXT-X-ENDLIST, static MPD), in the order in which they must be written; at
// is the time of the new version. Closing what is closed gives the same bytes
// again, whatever at is, so that a second try completes a first one. The
// bytes of the other manifests are not needed: all derive from the record.
func Close(record []byte, at time.Time) ([]File, error) {
	p, err := ParseRecord(record)
	if err != nil {
		return nil, err
	}
	if !p.Ended {
		p = p.Version(p.Epoch, at)
		p.Ended = true
	}
	return p.Files(), nil
}

// Version answers the presentation as its next version: counter + 1 under the
// epoch, and a publishTime of at, or later where at is not after the last one.
func (p Presentation) Version(epoch uint64, at time.Time) Presentation {
	p.Epoch = epoch
	p.Counter++
	at = at.UTC().Truncate(time.Millisecond)
	if !at.After(p.Published) {
		at = p.Published.Add(time.Millisecond)
	}
	p.Published = at
	return p
}
