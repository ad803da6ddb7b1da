// Command syncd runs a device: durable spaces of replicated data with an HTTP
// API, which sync with those of other devices. It is also the command line that
// speaks to a running one. Run "syncd demo" to see it.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/cli"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/killtest"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/replay"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs one command line and returns the exit code of package exit.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Run(ctx, version(), args, stdout, stderr, replay.Command(), killtest.Command())
}

// version returns the module's version, "(devel)" in a checkout.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
