package main

import (
	"context"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/workers/transcoder/job"
)

// How many jobs of a kind run beside each other. Reading the index objects of
// a long show is what an archive job does mostly.
const (
	closeJobs   = 16
	archiveJobs = 4
	deleteJobs  = 2
	sourceJobs  = 2
)

// children is how many transcoding processes run at once: half the cores, so
// that live has the other half.
func children() int { return max(runtime.NumCPU()/2, 1) }

// transcoder makes files of recordings by ffmpeg. What is missing is said once,
// at the start.
func (m *machine) transcoder(tool *ffmpeg.Tool, objects job.Objects) control.Transcoder {
	if missing := tool.Missing(); len(missing) > 0 {
		m.log.Warn("recordings stay as they were streamed: they are playable, but nothing is transcoded; "+
			"install ffmpeg with these and start again", "missing", strings.Join(missing, ", "))
	}
	return job.New(job.Options{
		Tool: tool, Objects: objects, Scratch: filepath.Join(m.settings.Data, "scratch"), Parallel: children(), Log: m.log,
	})
}

// lanes runs the jobs that shows leave behind until ctx ends, each kind in its
// own lane: nothing long holds up the end of another show.
func (m *machine) lanes(ctx context.Context) {
	for name, lane := range map[string]*control.Lane{
		"close playlists":    m.service.NewLane(closeJobs, control.JobClose),
		"archive recordings": m.service.NewLane(archiveJobs, control.JobArchive),
		"delete media":       m.service.NewLane(deleteJobs, control.JobDiscard, control.JobDelete, control.JobExpire),
		"make originals":     m.service.NewLane(sourceJobs, control.JobSource),
		"process recordings": m.service.NewLane(children(), control.JobTranscode),
	} {
		m.loops.Go(func() {
			m.whenDue(ctx, jobsEvery, name, lane.Pass)
			lane.Wait()
		})
	}
}
