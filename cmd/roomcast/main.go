// Command roomcast runs live video rooms on one machine.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"
	"github.com/willabides/kongplete"
)

// version is set by the linker.
var version = "unknown"

type cli struct {
	Up      upCmd      `cmd:"" help:"Run everything in this process: API, RTMP ingest, packaging, watch page."`
	Demo    demoCmd    `cmd:"" help:"Publish the built-in sample into a running 'up' and go live."`
	Cost    costCmd    `cmd:"" help:"What a month on AWS costs, beside IVS and MediaLive."`
	Admin   adminCmd   `cmd:"" help:"Operate a running 'up'."`
	Version versionCmd `cmd:"" help:"Print the version."`

	Completion kongplete.InstallCompletions `cmd:"" help:"Print what makes the shell complete commands: source <(roomcast completion)."`
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run() error {
	_, err := fmt.Println("roomcast", version)
	return err
}

func main() {
	var c cli
	parser := kong.Must(&c, kong.Name("roomcast"), kong.UsageOnError(),
		kong.Description("Live video rooms for any app: RTMP in, HLS and DASH out."))
	kongplete.Complete(parser) // answers the shell and ends, where it asks
	k, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	if err := k.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "roomcast: %v\n", err)
		os.Exit(1)
	}
}
