package browser

import (
	"fmt"
	"strings"
)

// Report is what was measured from outside on the video element, and what the
// player said. Positions and lengths are in seconds of media or wall clock.
type Report struct {
	Player Player `json:"player"`
	// MeasuredSeconds is the time since the page was opened or Reset.
	MeasuredSeconds float64 `json:"measuredSeconds"`
	// Started: the picture moved at least once; StartupSeconds later than the
	// begin. What follows counts from there on.
	Started        bool    `json:"started"`
	StartupSeconds float64 `json:"startupSeconds"`
	// PlayedSeconds is media that was really played, without jumps.
	PlayedSeconds float64 `json:"playedSeconds"`
	CurrentTime   float64 `json:"currentTime"`
	Paused        bool    `json:"paused"`
	Ended         bool    `json:"ended"`
	// Stalls are the times of 0.1 s and more without progress while neither
	// paused nor ended; the one that goes on is among them.
	Stalls              int     `json:"stalls"`
	StalledSeconds      float64 `json:"stalledSeconds"`
	LongestStallSeconds float64 `json:"longestStallSeconds"`
	// Jumps are changes of position that were not played: seeks, holes that
	// the player jumped over; the least that they can have been. At most the
	// last 100.
	Jumps []Span `json:"jumps"`
	// Holes are the gaps that were seen in what is buffered ahead.
	Holes []Span `json:"holes"`
	// DroppedFrames of TotalFrames.
	DroppedFrames int `json:"droppedFrames"`
	TotalFrames   int `json:"totalFrames"`
	// Width and Height of the picture in pixels.
	Width  int `json:"width"`
	Height int `json:"height"`
	// Sample is the state at the report's moment.
	Sample
	// Samples holds one for each second, at most the last 600.
	Samples []Sample `json:"samples"`
	// Errors of the player and the video element, in order.
	Errors []PlayerError `json:"errors"`
	// BadResponses are HTTP answers from 400 on and requests that got none.
	BadResponses []BadResponse `json:"badResponses"`
	// Console holds the page's warnings, errors and uncaught exceptions.
	Console []string `json:"console"`
	// State of the watch page: the room's state and what the stage shows, as
	// in "LIVE playing"; "" for stock players.
	State string `json:"state"`
}

// Sample is one look at the picture.
type Sample struct {
	AtMs        int64   `json:"atMs"` // wall clock, milliseconds since 1970
	CurrentTime float64 `json:"currentTime"`
	// LatencySeconds is the distance from the wall clock by
	// EXT-X-PROGRAM-DATE-TIME, or what the DASH player computes from the MPD;
	// nil where the player knows none.
	LatencySeconds *float64 `json:"latencySeconds"`
	// Frame is the number in the picture of the built-in sample, nil where
	// there is none: the latency is the wall clock less the moment when that
	// frame was sent.
	Frame *int `json:"frame"`
}

// Span is a piece of the media timeline.
type Span struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
}

// PlayerError is what a player reported. Fatal ones stop it, unless the page
// recovers from them, as the watch page does.
type PlayerError struct {
	Fatal bool   `json:"fatal"`
	What  string `json:"what"`
}

// BadResponse is a request that went wrong; Status 0 is a failed connection.
type BadResponse struct {
	Status int    `json:"status"`
	URL    string `json:"url"`
	Error  string `json:"error"`
}

// Fatal lists the fatal errors and the page's uncaught exceptions.
func (r *Report) Fatal() []string {
	var all []string
	for _, e := range r.Errors {
		if e.Fatal {
			all = append(all, e.What)
		}
	}
	for _, c := range r.Console {
		if strings.HasPrefix(c, "uncaught: ") {
			all = append(all, c)
		}
	}
	return all
}

// String is a report in one line.
func (r *Report) String() string {
	if r == nil {
		return "no report"
	}
	latency, frame := "?", "?"
	if r.LatencySeconds != nil {
		latency = fmt.Sprintf("%.2f", *r.LatencySeconds)
	}
	if r.Frame != nil {
		frame = fmt.Sprint(*r.Frame)
	}
	return fmt.Sprintf("%s: started %v in %.2f s, played %.2f of %.2f s, at %.2f, stalls %d (%.2f s, longest %.2f), jumps %v, holes %v, dropped %d of %d, latency %s, frame %s, state %q, errors %v, bad responses %v, console %q",
		r.Player, r.Started, r.StartupSeconds, r.PlayedSeconds, r.MeasuredSeconds, r.CurrentTime, r.Stalls, r.StalledSeconds, r.LongestStallSeconds,
		r.Jumps, r.Holes, r.DroppedFrames, r.TotalFrames, latency, frame, r.State, r.Errors, r.BadResponses, r.Console)
}
