package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// banner tells a newcomer what runs and what to do next.
func (m *machine) banner(w io.Writer) {
	creds := filepath.Join(m.settings.Data, credentialsFile)
	_, _ = fmt.Fprintf(w, `roomcast %[1]s is ready.

  API and watch page  %[2]s        (docs: %[2]s/docs)
  ingestURL           %[3]s/live
  data                %[4]s
  credentials         %[5]s

Make a member, which has a stream key, and read the key:
  AUTH=$(sed -n 's/.*"\(apiKey\|apiSecret\)": "\(.*\)".*/\2/p' %[5]s | paste -sd:)
  curl -u "$AUTH" -H 'Content-Type: application/json' -d '{"appUserId":"alice"}' %[2]s/v2/apps/me/members
  curl -u "$AUTH" %[2]s/v2/apps/me/members/alice/stream-key

Stream with ffmpeg:
  ffmpeg -re -i video.mp4 -c:v libx264 -preset veryfast -g 60 -c:a aac -f flv %[3]s/live/STREAM_KEY
or with OBS: Settings > Stream > Service "Custom", Server %[3]s/live, Stream Key STREAM_KEY;
  Settings > Output > Keyframe Interval 2 s.

Or see it work at once, in a second terminal: %[6]s demo --data %[4]s --http %[7]s
`, version, m.urls.HTTP, m.urls.RTMP, m.settings.Data, creds, os.Args[0], m.httpLn.Addr()) // nobody reads it: nothing is lost
}
