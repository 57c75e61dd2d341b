package ffmpeg

import (
	"fmt"
	"strconv"

	"github.com/roomcast/roomcast/internal/ladder"
)

// Encode makes one video rendition, without audio: key frames every
// gopSeconds, at the same times in every rendition. Every picture comes out
// once, at its own time; only of a source that is faster than the rendition
// may be some are left out. Sizes are even and so not quite of one shape: the
// pixels are made so much wider or higher that the pictures are, as DASH wants
// it of one adaptation set.
func Encode(in string, r ladder.Rendition, sourceFPS float64, gopSeconds int, out string) []string {
	filter := fmt.Sprintf("setsar=1,scale=%d:%d:flags=bicubic,format=yuv420p", r.WidthPixels, r.HeightPixels)
	if r.FrameRate > 0 && sourceFPS > r.FrameRate {
		filter += ",fps=" + strconv.FormatFloat(r.FrameRate, 'f', -1, 64)
	}
	rate := strconv.FormatInt(r.BitrateBPS, 10)
	args := []string{
		"-copyts", "-i", in, "-map", "0:v:0", "-an", "-sn", "-dn",
		"-vf", filter, "-fps_mode", "passthrough", "-enc_time_base", "-1",
		"-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high",
		"-b:v", rate, "-maxrate", strconv.FormatInt(r.BitrateBPS*3/2, 10), "-bufsize", strconv.FormatInt(r.BitrateBPS*2, 10),
		"-force_key_frames", fmt.Sprintf("expr:gte(t,n_forced*%d)", gopSeconds), "-sc_threshold", "0", "-x264-params", "open-gop=0",
	}
	return append(args, "-movflags", "+faststart", "-f", "mp4", out)
}

// Live makes video renditions of a stream of fragments on pipe:3, in FLV on
// pipe:4, pipe:5, …: picture by picture, at the source's own times, with a key
// frame wherever the source has one and nowhere else.
func Live(renditions []ladder.Rendition) []string {
	args := []string{"-fpsprobesize", "0", "-analyzeduration", "0", "-threads", "1", "-copyts", "-f", "mp4", "-i", "pipe:3"}
	for i, r := range renditions {
		args = append(args,
			"-map", "0:v:0", "-vf", fmt.Sprintf("scale=%d:%d:flags=bicubic,setsar=1,format=yuv420p", r.WidthPixels, r.HeightPixels),
			"-fps_mode", "passthrough", "-enc_time_base", "-1",
			"-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-profile:v", "high", "-bf", "0",
			"-b:v", strconv.FormatInt(r.BitrateBPS, 10), "-maxrate", strconv.FormatInt(LivePeakBPS(r), 10), "-bufsize", strconv.FormatInt(r.BitrateBPS*3/2, 10),
			"-force_key_frames", "source", "-g", "100000", "-sc_threshold", "0", "-x264-params", "open-gop=0",
			"-flush_packets", "1", "-f", "flv", "pipe:"+strconv.Itoa(4+i))
	}
	return args
}

// LivePeakBPS is the most that Live lets a rendition have.
func LivePeakBPS(r ladder.Rendition) int64 { return r.BitrateBPS * 5 / 4 }

// EncodeAudio makes the audio rendition.
func EncodeAudio(in string, bitrateBPS int64, out string) []string {
	return []string{
		"-copyts", "-i", in, "-map", "0:a:0", "-vn", "-sn", "-dn", "-c:a", "aac", "-b:a", strconv.FormatInt(bitrateBPS, 10), "-ac", "2",
		"-movflags", "+faststart", "-f", "mp4", out,
	}
}

// Join copies the first track of every file into one MP4.
func Join(files []string, out string) []string {
	return append(inputs(files), "-c", "copy", "-movflags", "+faststart", "-f", "mp4", out)
}

// Package copies the first track of every file, videos of them first, into
// CMAF segments with HLS playlists and an MPD in the current folder of out:
// master.m3u8, media_0.m3u8 …, manifest.mpd.
func Package(files []string, videos, segmentSeconds int, out string) []string {
	sets := "id=0,streams=v id=1,streams=a" // the ids count from 0
	switch videos {
	case 0:
		sets = "id=0,streams=a"
	case len(files):
		sets = "id=0,streams=v"
	}
	return append(inputs(files), "-c", "copy", "-f", "dash", "-dash_segment_type", "mp4", "-seg_duration", strconv.Itoa(segmentSeconds),
		"-use_template", "1", "-use_timeline", "1", "-adaptation_sets", sets, "-hls_playlist", "1",
		"-init_seg_name", "init-$RepresentationID$.mp4", "-media_seg_name", "$RepresentationID$-$Number%05d$.m4s", out)
}

// inputs are files whose times belong together: without -copyts each of them
// would begin at zero.
func inputs(files []string) (args []string) {
	args = append(args, "-copyts")
	for _, f := range files {
		args = append(args, "-i", f)
	}
	for i := range files {
		args = append(args, "-map", strconv.Itoa(i)+":0")
	}
	return args
}

// Box is what a picture fits into, in its own shape and never enlarged. A
// height of 0 follows the width.
type Box struct{ WidthPixels, HeightPixels int }

func (b Box) scale() string {
	if b.HeightPixels == 0 {
		return fmt.Sprintf("scale='min(%d,iw)':-2", b.WidthPixels)
	}
	return fmt.Sprintf("scale='min(%d,iw)':'min(%d,ih)':force_original_aspect_ratio=decrease:force_divisible_by=2", b.WidthPixels, b.HeightPixels)
}

// Thumbnail takes the first picture that is not black, at most a minute in.
func Thumbnail(in string, fit Box, out string) []string {
	return []string{
		"-t", "60", "-i", in, "-map", "0:v:0", "-vf", "blackframe=0:32,metadata=select:key=lavfi.blackframe.pblack:value=90:function=less," + fit.scale(),
		"-frames:v", "1", "-q:v", "3", "-update", "1", "-f", "image2", out,
	}
}

// FirstPicture takes the first picture, whatever it shows.
func FirstPicture(in string, fit Box, out string) []string {
	return []string{"-i", in, "-map", "0:v:0", "-vf", fit.scale(), "-frames:v", "1", "-q:v", "3", "-update", "1", "-f", "image2", out}
}

// Preview makes three seconds of animated WebP from the given second on.
func Preview(in string, fromSeconds float64, fit Box, out string) []string {
	return []string{
		"-ss", strconv.FormatFloat(fromSeconds, 'f', 3, 64), "-t", "3", "-i", in, "-map", "0:v:0",
		"-vf", "fps=8," + fit.scale(), "-c:v", "libwebp", "-loop", "0", "-q:v", "60", "-f", "webp", out,
	}
}

// Sprite makes one JPEG of pictures, one every so many seconds, columns ×
// rows of them, each width × height pixels.
func Sprite(in string, everySeconds float64, columns, rows, width, height int, out string) []string {
	return []string{
		"-skip_frame", "nokey", "-i", in, "-map", "0:v:0", "-vf",
		fmt.Sprintf("fps=1/%s:start_time=0:round=up,scale=%d:%d,tile=%dx%d", strconv.FormatFloat(everySeconds, 'f', 3, 64), width, height, columns, rows),
		"-frames:v", "1", "-q:v", "5", "-update", "1", "-f", "image2", out,
	}
}
