package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/cost"
)

type costCmd struct {
	Viewers  float64 `help:"Viewers of each stream, on average." default:"100"`
	Hours    float64 `help:"Hours that are streamed a month, all streams together." default:"100"`
	Bitrate  float64 `help:"Bitrate of a stream, in Mbit/s." default:"2.5"`
	Mode     string  `help:"RTMP, CMAF or RTMP_CMAF." default:"CMAF"`
	LowDelay float64 `help:"Share of viewers over HTTP-FLV in RTMP_CMAF, 0 to 1." default:"0.5"`
	KeepDays float64 `help:"Days that recordings are kept." default:"30"`
}

// Run prints the bill of a month on AWS.
func (c *costCmd) Run() error {
	mode := broadcast.Mode(strings.ToUpper(c.Mode))
	if !mode.Valid() {
		return fmt.Errorf("--mode: %q is none of RTMP, CMAF and RTMP_CMAF", c.Mode)
	}
	if c.Viewers < 0 || c.Hours < 0 || c.Bitrate <= 0 || c.LowDelay < 0 || c.LowDelay > 1 {
		return fmt.Errorf("--viewers and --hours are not negative, --bitrate is positive, --low-delay is between 0 and 1")
	}
	p, err := cost.Listed()
	if err != nil {
		return err
	}
	b := cost.Month(p, cost.Use{
		StreamHours: c.Hours, Viewers: c.Viewers, BitrateMbps: c.Bitrate, Mode: mode, LowDelay: c.LowDelay, KeepDays: c.KeepDays,
	})
	return printBill(os.Stdout, p, b)
}

func printBill(w io.Writer, p cost.Prices, b cost.Bill) error {
	var s strings.Builder
	fmt.Fprintf(&s, "A month on AWS (%s, list prices of %s, docs/cost.md)\n", p.Region, p.AsOf)
	part := func(name string, lines []cost.Line) {
		fmt.Fprintf(&s, "\n%s\n", name)
		for _, l := range lines {
			fmt.Fprintf(&s, "  %-24s $%12.2f\n", l.Name, l.Dollars)
		}
	}
	part("always", b.Idle)
	part("streams", b.Stream)
	part("viewers", b.Viewer)
	fmt.Fprintf(&s, "\nin all                     $%12.2f\na stream-hour, no viewers  $%12.4f\na viewer-hour              $%12.4f\n", b.Total, b.PerStreamHour, b.PerViewerHour)
	fmt.Fprintf(&s, "\nthe same elsewhere\n  %-24s $%12.2f\n  %-24s $%12.2f\n  %-24s $%12.2f\n",
		"IVS, basic channel", b.IVSBasic, "IVS, standard channel", b.IVSStandard, "MediaLive + MediaPackage", b.MediaLive)
	_, err := io.WriteString(w, s.String())
	return err
}
