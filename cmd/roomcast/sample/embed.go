// Package sample holds the built-in sample that `roomcast demo` publishes: a
// clock and a frame counter, H.264 High with B-frames at 854x480 and AAC-LC in
// stereo. make.sh made it.
package sample

import (
	_ "embed"
	"time"
)

// FLV is the sample: onMetaData, both sequence headers, then Frames video and
// AudioFrames audio tags in order of their timestamps, from 0 on. It has no
// end-of-sequence tag: repeated with timestamps raised by Loop each time, it
// plays without a seam. Do not write to it.
//
//go:embed sample.flv
var FLV []byte

// What FLV contains.
const (
	// Loop is the length of the sample, a whole number of GOPs, AAC frames
	// and milliseconds.
	Loop = 24 * time.Second
	// FPS is the number of frames per second; the counter in the picture
	// counts from 0 to Frames-1. Every 60th is an IDR frame (a GOP of 2 s).
	FPS    = 30
	Frames = 720
	// AudioFrames is the number of AAC access units, 1024 samples at 48 kHz each.
	AudioFrames = 1125
	// PresentationOffset is the presentation time of frame 0: its decoding
	// time is 0, and B-frames are reordered by two frames.
	PresentationOffset = 67 * time.Millisecond
)
