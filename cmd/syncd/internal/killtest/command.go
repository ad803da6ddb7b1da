// Package killtest ends a daemon with SIGKILL, over and over, and holds it to
// its promise: what it acknowledged is there, whole, and nothing else came to
// be.
package killtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/joinery-crdt/joinery/internal/pgtest"
	"github.com/spf13/cobra"
)

// Options are what `syncd killtest` is asked for.
type Options struct {
	Program string // path of syncd
	Dir     string // of the data and the log; not removed
	Kills   int
	Writers int
	Seed    uint64
	Uptime  time.Duration // the longest time from the first write of a round to the kill
	// Database holds the daemon's store, nil for its data directory. It is
	// killed in place of the daemon, one time in four together with it.
	Database *pgtest.Server
}

// ErrLost: a daemon broke its promise. The error says how and where the data is.
var ErrLost = errors.New("killtest: promise broken")

// Command returns `syncd killtest`.
func Command() *cobra.Command {
	var o Options
	postgres := false
	cmd := &cobra.Command{
		Use:   "killtest",
		Short: "Kill a daemon under load, many times, and check every acknowledged write",
		Long: `Killtest runs a daemon on a data directory of its own, lets concurrent writers
make transactions that each write four objects, kills the daemon with SIGKILL at
a random moment, now and then also while it starts, and starts it again. After
each start it reads what the last round wrote, and an earlier round: everything
acknowledged is there, every transaction is there whole or not at all, nothing
is there twice, and the daemon finds no problem. At the end it reads everything.

With --postgres the store is in a PostgreSQL server of its own, which is killed
in place of the daemon, one time in four together with it. The daemon must say
that the server is away, and take writes again by itself when it is back.

It prints one line per hundred kills and fails with the first broken promise;
the data directory and the daemon's log are then kept.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			program, err := os.Executable()
			if err != nil {
				return err
			}
			o.Program = program
			if postgres {
				return runOnDatabase(ctx, o, cmd.OutOrStdout())
			}
			return runIn(ctx, o, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Kills, "kills", 100, "`how` often the daemon, or its database, is killed")
	f.IntVar(&o.Writers, "writers", 8, "concurrent `writers`")
	f.Uint64Var(&o.Seed, "seed", 1, "decides the moments of the kills")
	f.DurationVar(&o.Uptime, "uptime", 150*time.Millisecond, "longest `time` under load before a kill")
	f.BoolVar(&postgres, "postgres", false, "keep the store in a PostgreSQL server, and kill that")
	return cmd
}

// runOnDatabase is runIn with a database, which it ends.
func runOnDatabase(ctx context.Context, o Options, out io.Writer) (err error) {
	if o.Database, err = pgtest.Start(nil); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Database.Stop()) }()
	return runIn(ctx, o, out)
}

// runIn runs the test in a directory of its own, which it removes if all is
// well.
func runIn(ctx context.Context, o Options, out io.Writer) error {
	if o.Kills < 1 || o.Writers < 1 || o.Uptime <= 0 {
		return errors.New("killtest: --kills, --writers and --uptime must be positive")
	}
	dir, err := os.MkdirTemp("", "killtest-")
	if err != nil {
		return err
	}
	o.Dir = dir
	report, err := Run(ctx, o, out)
	if errors.Is(err, ErrLost) {
		return fmt.Errorf("%w\n  kept: %s", err, filepath.Join(dir, "data"))
	}
	if rmErr := os.RemoveAll(dir); err == nil {
		err = rmErr
	}
	if err == nil {
		fmt.Fprintln(out, report)
	}
	return err
}
