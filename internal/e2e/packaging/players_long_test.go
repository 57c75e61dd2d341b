//go:build long

package packaging

// played are the sources that players play: those whose pictures a browser
// without HEVC has, and whose holes are not the source's own.
var played = []string{
	"0.5 s GOP", "1 s GOP", "4 s GOP", "12 s GOP", "OBS auto", "scene cuts", "23.976 fps", "29.97 fps", "50 fps", "59.94 fps", "60 fps",
	"variable frame rate", "video only", "sample rate changes", "resolution changes", "jump forward", "wrap at 2^32 ms",
	"negative composition offsets", "hole in the audio", "pictures stop, sound goes on", "uplink stalls", "reconnect", "reconnects with other parameters",
}
