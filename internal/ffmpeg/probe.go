package ffmpeg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Media is what a file holds.
type Media struct {
	Duration  time.Duration
	SizeBytes int64
	Video     *VideoTrack // nil = none
	Audio     *AudioTrack
}

// VideoTrack is the first video track; pixels as they are stored.
type VideoTrack struct {
	WidthPixels, HeightPixels int
	FrameRate                 float64 // the average; 0 = not known
	BitrateBPS                int64
}

// AudioTrack is the first audio track.
type AudioTrack struct {
	SampleRateHz, Channels int
	BitrateBPS             int64
}

// Probe asks ffprobe about a file.
func (t *Tool) Probe(ctx context.Context, path string) (Media, error) {
	if t.ffprobe == "" {
		return Media{}, errors.New("ffprobe is not installed")
	}
	cmd := exec.CommandContext(ctx, t.ffprobe, "-v", "error", "-of", "json", "-show_format", "-show_streams", path) //nolint:gosec // the program that was found
	out, err := cmd.Output()
	if err != nil {
		return Media{}, fmt.Errorf("probe %s: %w", path, err)
	}
	m, err := parseProbe(out)
	if err != nil {
		return Media{}, fmt.Errorf("probe %s: %w", path, err)
	}
	return m, nil
}

func parseProbe(out []byte) (Media, error) {
	var p struct {
		Streams []struct {
			Type       string `json:"codec_type"`
			Width      int    `json:"width"`
			Height     int    `json:"height"`
			Rate       string `json:"avg_frame_rate"`
			SampleRate string `json:"sample_rate"`
			Channels   int    `json:"channels"`
			BitRate    string `json:"bit_rate"`
		} `json:"streams"`
		Format struct {
			Duration string `json:"duration"`
			Size     string `json:"size"`
		} `json:"format"`
	}
	if err := json.Unmarshal(out, &p); err != nil {
		return Media{}, err
	}
	seconds, _ := strconv.ParseFloat(p.Format.Duration, 64) // absent = 0
	size, _ := strconv.ParseInt(p.Format.Size, 10, 64)
	m := Media{Duration: time.Duration(seconds * float64(time.Second)), SizeBytes: size}
	for _, s := range p.Streams {
		bps, _ := strconv.ParseInt(s.BitRate, 10, 64)
		switch {
		case s.Type == "video" && m.Video == nil:
			m.Video = &VideoTrack{WidthPixels: s.Width, HeightPixels: s.Height, FrameRate: ratio(s.Rate), BitrateBPS: bps}
		case s.Type == "audio" && m.Audio == nil:
			hz, _ := strconv.Atoi(s.SampleRate)
			m.Audio = &AudioTrack{SampleRateHz: hz, Channels: s.Channels, BitrateBPS: bps}
		}
	}
	if m.Video == nil && m.Audio == nil {
		return Media{}, errors.New("no track")
	}
	return m, nil
}

// ratio reads "30000/1001".
func ratio(s string) float64 {
	a, b, _ := strings.Cut(s, "/")
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if errX != nil || errY != nil || y <= 0 {
		return 0
	}
	return x / y
}
