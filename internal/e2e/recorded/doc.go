// Package recorded kills whoever makes a recording, at every call of the store
// and of the bucket, with real media, a real database and a real ffmpeg.
package recorded
