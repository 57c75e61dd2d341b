package packaging

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/mediatest/enhanced"
	"github.com/roomcast/roomcast/internal/rtmpout"
	"github.com/roomcast/roomcast/workers/ingest/segment"
)

// source is what publishers send and what is to come of it.
type source struct {
	sessions [][]step
	files    []string // whose pictures must come out, one after the other
	runs     int
	filled   bool          // holes are filled with silence, or a picture that stands still
	warn     string        // a warning that must be there
	partial  bool          // the pictures of the files do not all come
	pause    time.Duration // between sessions
	spread   float64       // ms that offsets may differ by; 0 = 2: RTMP rounds, we do not
}

const (
	mode2sGOP = "fps=25 gop=50"
	usual     = "fps=25 gop=50 bf=2"
)

// clip makes a small FLV (MP4 for HEVC): "fps=25 gop=50 bf=2 d=8 size=320x180
// hz=48000 ch=2 vf=… keys=… codec=libx265 novideo noaudio".
func clip(t *testing.T, text string) string {
	t.Helper()
	o := map[string]string{"fps": "25", "gop": "50", "bf": "0", "d": "8", "size": "160x90", "hz": "48000", "ch": "2", "codec": "libx264"}
	for _, f := range strings.Fields(text) {
		k, v, _ := strings.Cut(f, "=")
		o[k] = v
	}
	args := []string{"-nostdin", "-v", "error", "-y"}
	_, noVideo := o["novideo"]
	_, noAudio := o["noaudio"]
	if !noVideo {
		args = append(args, "-f", "lavfi", "-i", "testsrc2=r="+o["fps"]+":s="+o["size"]+":d="+o["d"])
	}
	if !noAudio {
		args = append(args, "-f", "lavfi", "-i", "sine=f=440:r="+o["hz"]+":d="+o["d"])
	}
	name := "source.flv"
	if !noVideo {
		args = append(args, "-c:v", o["codec"], "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", o["gop"], "-keyint_min", o["gop"], "-sc_threshold", "0", "-bf", o["bf"])
		if o["codec"] == "libx265" {
			name = "source.mp4"
			args = append(args, "-x265-params", "open-gop=0:scenecut=0:log-level=none", "-tag:v", "hvc1", "-movflags", "frag_keyframe+empty_moov+default_base_moof")
		}
		if o["vf"] != "" {
			args = append(args, "-vf", o["vf"], "-fps_mode", "vfr")
		}
		if o["keys"] != "" {
			args = append(args, "-force_key_frames", o["keys"])
		}
	}
	if !noAudio {
		args = append(args, "-c:a", "aac", "-ac", o["ch"])
	}
	file := filepath.Join(t.TempDir(), name)
	if b, err := exec.Command("ffmpeg", append(args, file)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, b)
	}
	return file
}

func readFLV(t *testing.T, file string) []rtmpout.Tag {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // was only read
	var tags []rtmpout.Tag
	for tag, err := range rtmpout.ReadFLV(f) {
		if err != nil {
			t.Fatal(err)
		}
		tags = append(tags, tag)
	}
	return tags
}

// timed lets tags arrive when their time has come, from at on, with their
// timestamps moved by ms.
func timed(tags []rtmpout.Tag, at time.Duration, ms uint32) []step {
	var steps []step
	for _, g := range tags {
		s := step{at + time.Duration(g.TimestampMS)*time.Millisecond, g}
		s.tag.TimestampMS += ms
		steps = append(steps, s)
	}
	return steps
}

// simple is one publish of one clip.
func simple(t *testing.T, text string) source {
	t.Helper()
	file := clip(t, text)
	return source{sessions: [][]step{timed(readFLV(t, file), 0, 0)}, files: []string{file}, runs: 1}
}

// inARow sends clips in one session; the timestamps go on, but for the jump.
func inARow(t *testing.T, runs int, jumpMS int, texts ...string) source {
	t.Helper()
	s := source{runs: runs, sessions: [][]step{nil}}
	at, ms := time.Duration(0), uint32(0)
	for _, text := range texts {
		file := clip(t, text)
		tags := []rtmpout.Tag(nil)
		if filepath.Ext(file) == ".mp4" {
			tags = enhanced.Tags(t, file)
		} else {
			tags = readFLV(t, file)
		}
		s.sessions[0] = append(s.sessions[0], timed(tags, at, ms)...)
		s.files = append(s.files, file)
		at += 8 * time.Second
		ms += uint32(8000 + jumpMS)
	}
	return s
}

// reconnects publishes clips in sessions of their own, 7 s apart.
func reconnects(t *testing.T, texts ...string) source {
	t.Helper()
	s := source{runs: len(texts), pause: 7 * time.Second}
	for i, text := range texts {
		file := clip(t, text)
		s.sessions = append(s.sessions, timed(readFLV(t, file), time.Duration(i)*15*time.Second, 0))
		s.files = append(s.files, file)
	}
	return s
}

// change edits the only session of a source.
func (s source) change(edit func([]step) []step) source {
	s.sessions[0] = edit(s.sessions[0])
	return s
}

// leaveOut takes away what a track would have sent in [from, to) ms.
func (s source) leaveOut(kind rtmpout.MessageType, from, to uint32) source {
	return s.change(func(steps []step) []step {
		return slices.DeleteFunc(steps, func(p step) bool {
			return p.tag.Type == kind && p.tag.Payload[1] == 1 && p.tag.TimestampMS >= from && p.tag.TimestampMS < to
		})
	})
}

// inBand moves the parameter sets of AVC headers after the first one into the
// key frame behind them, as encoders do that change their picture without a
// new header.
func inBand(steps []step) []step {
	var out []step
	var sets []byte
	first := true
	for _, s := range steps {
		p := s.tag.Payload
		if s.tag.Type == rtmpout.TypeVideo && p[1] == 0 {
			if first {
				first = false
				out = append(out, s)
				continue
			}
			spsSize := int(binary.BigEndian.Uint16(p[11:]))
			sps := p[13 : 13+spsSize]
			pps := p[13+spsSize+3:]
			pps = pps[:binary.BigEndian.Uint16(p[13+spsSize+1:])]
			sets = nil
			for _, n := range [][]byte{sps, pps} {
				sets = append(binary.BigEndian.AppendUint32(sets, uint32(len(n))), n...)
			}
			continue
		}
		if s.tag.Type == rtmpout.TypeVideo && p[0]>>4 == 1 && sets != nil {
			s.tag.Payload = slices.Concat(p[:5], sets, p[5:])
		}
		out = append(out, s)
	}
	return out
}

// all are the sources of every kind.
func all() map[string]func(t *testing.T) source {
	one := func(text string) func(*testing.T) source {
		return func(t *testing.T) source { t.Helper(); return simple(t, text) }
	}
	return map[string]func(t *testing.T) source{
		"0.5 s GOP": one("fps=30 gop=15"),
		"1 s GOP":   one("fps=25 gop=25 bf=2 hz=44100 ch=1"),
		"4 s GOP":   one("fps=25 gop=100 bf=3 d=13"),
		"12 s GOP": func(t *testing.T) source {
			s := simple(t, "fps=25 gop=300 d=30")
			s.warn = segment.WarnKeyFrames
			return s
		},
		"OBS auto":            one("fps=30 gop=250 bf=2 d=26"),
		"scene cuts":          one("fps=25 gop=100 bf=2 d=14 keys=0.4,2.9,3.2,5.7,6.0,8.8,9.1"),
		"23.976 fps":          one("fps=24000/1001 gop=48 bf=2"),
		"29.97 fps":           one("fps=30000/1001 gop=60 bf=2"),
		"59.94 fps":           one("fps=60000/1001 gop=120 bf=2"),
		"50 fps":              one("fps=50 gop=100 bf=2"),
		"60 fps":              one("fps=60 gop=120"),
		"variable frame rate": one("fps=50 gop=60 vf=select='lt(mod(n\\,100)\\,30)+not(mod(n\\,7))'"),
		"video only":          one("fps=25 gop=50 bf=2 noaudio"),
		"audio only":          one("novideo hz=44100"),

		"sample rate changes": func(t *testing.T) source { return inARow(t, 2, 0, usual, usual+" hz=44100 ch=1") },
		"resolution changes":  func(t *testing.T) source { return inARow(t, 3, 0, usual, usual+" size=320x180", usual).within(60) },
		"resolution changes in-band": func(t *testing.T) source {
			return inARow(t, 2, 0, mode2sGOP, mode2sGOP+" size=320x180").change(inBand).within(30)
		},
		"codec changes to HEVC": func(t *testing.T) source { return inARow(t, 2, 0, usual+" noaudio", usual+" noaudio codec=libx265") },
		"jump forward":          func(t *testing.T) source { return inARow(t, 2, 60_000, usual, usual) },
		"jump back":             func(t *testing.T) source { return inARow(t, 2, -6_000-8_000, usual, usual) },
		"wrap at 2^32 ms": func(t *testing.T) source {
			return simple(t, usual).change(func(steps []step) []step {
				for i := range steps {
					steps[i].tag.TimestampMS += 1<<32 - 3500
				}
				return steps
			})
		},
		"negative composition offsets": func(t *testing.T) source {
			return simple(t, usual).change(func(steps []step) []step {
				for _, s := range steps {
					if p := s.tag.Payload; s.tag.Type == rtmpout.TypeVideo && p[1] == 1 {
						cts := int32(binary.BigEndian.Uint32(p[1:])<<8)>>8 - 80
						p[2], p[3], p[4] = byte(cts>>16), byte(cts>>8), byte(cts)
					}
				}
				return steps
			})
		},
		"headers with every GOP": func(t *testing.T) source {
			return simple(t, usual).change(func(steps []step) []step {
				var out []step
				header := steps[slices.IndexFunc(steps, func(s step) bool { return s.tag.Type == rtmpout.TypeVideo && s.tag.Payload[1] == 0 })]
				for _, s := range steps {
					if s.tag.Type == rtmpout.TypeVideo && s.tag.Payload[0] == 0x17 && s.tag.Payload[1] == 1 {
						h := header
						h.at, h.tag.TimestampMS = s.at, s.tag.TimestampMS
						out = append(out, h)
					}
					out = append(out, s)
				}
				return out
			})
		},
		"empty and 1-byte payloads": func(t *testing.T) source {
			return simple(t, usual).change(func(steps []step) []step {
				var out []step
				for i, s := range steps {
					out = append(out, s)
					if i%5 == 0 {
						s.tag.Payload = []byte{0x17}[:i/5%2]
						out = append(out, s)
					}
				}
				return out
			})
		},
		"hole in the audio": func(t *testing.T) source {
			s := simple(t, "fps=25 gop=50 d=12").leaveOut(rtmpout.TypeAudio, 3000, 6500)
			s.filled, s.spread, s.warn = true, 30, segment.WarnNoAudio
			return s
		},
		"pictures stop, sound goes on": func(t *testing.T) source {
			s := simple(t, "fps=25 gop=50 d=20").leaveOut(rtmpout.TypeVideo, 4000, 14_000)
			s.runs, s.warn, s.spread, s.partial, s.filled = 3, segment.WarnNoVideo, 60, true, true
			return s
		},
		"times that do not rise": func(t *testing.T) source {
			s := simple(t, mode2sGOP).change(func(steps []step) []step {
				for i := range steps { // two in a row at the same time, and one earlier
					if p := &steps[i].tag; p.Type == rtmpout.TypeVideo && p.TimestampMS%400 == 40 {
						p.TimestampMS -= 60
					}
				}
				return steps
			})
			s.spread = 65
			return s
		},
		"HEVC": func(t *testing.T) source { return inARow(t, 1, 0, usual+" noaudio codec=libx265") },
		"uplink stalls": func(t *testing.T) source {
			return simple(t, usual+" d=12").change(func(steps []step) []step {
				for i := range steps {
					if steps[i].at > 4*time.Second && steps[i].at < 9*time.Second {
						steps[i].at = 9 * time.Second
					}
				}
				return steps
			})
		},
		"reconnect": func(t *testing.T) source { return reconnects(t, usual, usual) },
		"reconnects with other parameters": func(t *testing.T) source {
			s := reconnects(t, usual+" hz=44100", mode2sGOP+" size=320x180", usual+" noaudio")
			s.filled, s.warn = true, segment.WarnNoAudio
			return s
		},
		"a long show of three": func(t *testing.T) source { return reconnects(t, usual+" d=14", usual+" d=14", usual+" d=14") },
	}
}

// within allows offsets of audio to differ: two clips in a row share one count
// of audio frames, and the first one's last frame reaches into the second.
func (s source) within(ms float64) source {
	s.spread = ms
	return s
}
