package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/joinery-crdt/joinery/sync/node"
)

// Options are what `syncd replay` is asked for.
type Options struct {
	History string
	Form    string // FormNode, FormOp or FormDelta
	Expect  string // file of expected results, empty for none
	Daemons int    // 0 for none
	Kills   int
	Seed    uint64
	Fresh   bool // every replica begins with an empty store
	// Rungs of the anti-entropy ladder to force on the daemons, or "all".
	Rungs []string
}

// Command returns `syncd replay`.
func Command() *cobra.Command {
	var o Options
	cmd := &cobra.Command{
		Use:   "replay HISTORY.ndjson.gz",
		Short: "Replay a recorded multi-writer history through real nodes",
		Long: `Replay runs a recorded history of many writers through one real node per
writer. An event sees its ancestors and nothing else: what its parents saw is
brought to it as drop files, shuffled and repeated on the way. A new writer
begins with a copy of the store of one that saw nothing else either, and takes
an origin of its own; with --fresh it begins with nothing. The results are
printed as JSON; with --expect they are compared with a file, and the command
fails with a list of what differs.

With --form op each writer is a replica in operation form (package crdt/op)
instead, and every transaction a message that is shuffled and repeated on its
way; with --form delta it holds stand-alone values and sends their deltas.

With --daemons N the changes are then scattered over N real daemons, which get
different causally closed parts, sync over WebSocket while they are killed with
SIGKILL and restarted and links are cut, and must all end with the expected
results and with the same bytes.

With --rungs the kills come over the first half of the history. After that, each
rung named is forced: one daemon is killed and misses a part of the rest (cursor),
loses what it has in common with others (vector), comes back when they have
truncated their logs (part) and forgotten what was in them (snapshot, which is
also broken off by a kill, and taken by a device that joins last), or finds cells
of its store damaged (audit); others are killed while it catches up. It must say
in its status that the rung was taken, or the replay fails.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.History = args[0]
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return Run(ctx, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Form, "form", FormNode, "what writers are: node, op or `delta`")
	f.StringVar(&o.Expect, "expect", "", "file of expected `results` to compare with")
	f.IntVar(&o.Daemons, "daemons", 0, "scatter the changes over this `many` real daemons")
	f.IntVar(&o.Kills, "kills", 24, "with --daemons: `how` often a daemon is killed on the way")
	f.StringSliceVar(&o.Rungs, "rungs", nil, "with --daemons: `rungs` of the anti-entropy ladder to force, all or some of "+strings.Join(ladder, ","))
	f.BoolVar(&o.Fresh, "fresh", false, "let every replica begin with an empty store instead of a copy of another's")
	f.Uint64Var(&o.Seed, "seed", 1, "decides the shuffling, the parts and the kills")
	return cmd
}

// Run replays a history and prints the results to stdout and what it does to
// stderr. It returns an error that is [ErrDiffers] if they are not as expected.
func Run(ctx context.Context, o Options, stdout, stderr io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	h, err := Load(o.History)
	if err != nil {
		return err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(300))
	began := time.Now()
	logf := func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }
	report := func(r *Results) error {
		logf("replayed %d events of %d replicas in %s", r.Events, r.Replicas, time.Since(began).Round(time.Millisecond))
		var err error
		if o.Expect != "" {
			err = r.Compare(o.Expect)
		}
		return cmp.Or(r.Write(stdout), err)
	}
	cast := Cast{Seed: o.Seed, Fresh: o.Fresh, Log: logf}
	if o.Form != FormNode {
		results, err := ReplayForm(ctx, h, o.Form, cast)
		if err != nil {
			return err
		}
		return report(results)
	}
	full, err := Replay(ctx, h, cast)
	if err != nil {
		return err
	}
	defer full.Close()
	results, err := collect(ctx, full.Space(SpaceName), h)
	if err != nil {
		return err
	}
	if err := report(results); err != nil || o.Daemons == 0 {
		return err
	}
	return o.scatter(ctx, h, full, results, stderr)
}

// check returns an error unless the options go together.
func (o Options) check() error {
	switch {
	case o.Daemons < 0 || o.Daemons == 1 || o.Kills < 0:
		return errors.New("replay: --daemons takes 0 or at least 2, --kills 0 or more")
	case !slices.Contains(forms, o.Form):
		return fmt.Errorf("replay: --form takes one of %v, not %q", forms, o.Form)
	case o.Form != FormNode && o.Daemons > 0:
		return errors.New("replay: --daemons takes --form node")
	case len(o.Rungs) > 0 && o.Daemons < 3:
		return errors.New("replay: --rungs takes --daemons 3 or more")
	}
	_, err := parseRungs(o.Rungs)
	return err
}

// scatter runs the second half of a replay, over daemons.
func (o Options) scatter(ctx context.Context, h *History, full *node.Node, results *Results, stderr io.Writer) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	rungs, err := parseRungs(o.Rungs)
	if err != nil {
		return err
	}
	return Scatter(ctx, h, full, results, FleetConfig{
		Program: program, Daemons: o.Daemons, Kills: o.Kills, Seed: o.Seed, Log: stderr, Patience: time.Minute,
		Rungs: rungs,
	})
}

// isConnectionError reports whether a call did not get an answer because the
// daemon died or was not there.
func isConnectionError(err error) bool {
	var op *net.OpError
	return errors.Is(err, errDown) || errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED)
}
