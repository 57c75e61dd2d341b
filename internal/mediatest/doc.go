// Package mediatest makes and judges media for tests, with the installed
// ffmpeg and ffprobe: sources by specification, a real encoder that publishes
// them, strict decoding, frame hashes.
package mediatest
