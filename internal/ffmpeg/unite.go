package ffmpeg

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Part is a file that others follow.
type Part struct {
	Path  string
	Media Media
}

// United is what Unite makes of parts: the largest picture, the highest rates,
// picture and sound where any of them has one. It is the only part's own.
func United(parts []Part) (m Media) {
	for _, p := range parts {
		m.Duration += p.Media.Duration
		if v := p.Media.Video; v != nil {
			if m.Video == nil {
				m.Video = &VideoTrack{}
			}
			if v.WidthPixels*v.HeightPixels > m.Video.WidthPixels*m.Video.HeightPixels {
				m.Video.WidthPixels, m.Video.HeightPixels = v.WidthPixels, v.HeightPixels
			}
			m.Video.FrameRate = max(m.Video.FrameRate, v.FrameRate)
		}
		if a := p.Media.Audio; a != nil {
			if m.Audio == nil {
				m.Audio = &AudioTrack{Channels: 2}
			}
			m.Audio.SampleRateHz = max(m.Audio.SampleRateHz, a.SampleRateHz)
		}
	}
	return m
}

// Unite makes one file of parts whose parameters differ, to be encoded again:
// hardly anything of the picture is lost. Each picture comes once, at its own
// time, in the middle of a frame of the largest size; where a part has no
// picture it is black, where it has no sound it is silent.
func Unite(parts []Part, out string) []string {
	m := United(parts)
	var width, height int
	if m.Video != nil {
		width, height = m.Video.WidthPixels&^1, m.Video.HeightPixels&^1
	}
	args := make([]string, 0, 2*len(parts)+30)
	var graph, tracks strings.Builder
	for i, p := range parts {
		args = append(args, "-i", p.Path)
		if m.Video != nil {
			if p.Media.Video != nil {
				fmt.Fprintf(&graph, "[%d:v:0]scale=%[2]d:%[3]d:force_original_aspect_ratio=decrease:flags=bicubic,pad=%[2]d:%[3]d:-1:-1", i, width, height)
			} else {
				fmt.Fprintf(&graph, "color=black:size=%dx%d:rate=25:duration=%s", width, height, seconds(p.Media.Duration))
			}
			fmt.Fprintf(&graph, ",setsar=1,format=yuv420p[v%d];", i)
			fmt.Fprintf(&tracks, "[v%d]", i)
		}
		if m.Audio != nil {
			if p.Media.Audio != nil {
				fmt.Fprintf(&graph, "[%d:a:0]aresample=%d", i, m.Audio.SampleRateHz)
			} else {
				fmt.Fprintf(&graph, "anullsrc=sample_rate=%d,atrim=duration=%s", m.Audio.SampleRateHz, seconds(p.Media.Duration))
			}
			fmt.Fprintf(&graph, ",aformat=sample_fmts=fltp:channel_layouts=stereo[a%d];", i)
			fmt.Fprintf(&tracks, "[a%d]", i)
		}
	}
	fmt.Fprintf(&graph, "%sconcat=n=%d:v=%d:a=%d", &tracks, len(parts), number(m.Video != nil), number(m.Audio != nil))
	var maps, codecs []string
	if m.Video != nil {
		graph.WriteString("[v]")
		maps = append(maps, "-map", "[v]")
		codecs = append(codecs, "-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-video_track_timescale", "90000",
			"-c:v", "libx264", "-preset", "veryfast", "-crf", "17")
	}
	if m.Audio != nil {
		graph.WriteString("[a]")
		maps = append(maps, "-map", "[a]")
		codecs = append(codecs, "-c:a", "aac", "-b:a", "192k")
	}
	args = append(append(args, "-filter_complex", graph.String()), maps...)
	return append(append(args, codecs...), "-f", "mp4", out)
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }

func number(is bool) int {
	if is {
		return 1
	}
	return 0
}
