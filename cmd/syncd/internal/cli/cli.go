// Package cli is syncd's command line.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"

	"github.com/spf13/cobra"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/client"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/daemon"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/datadir"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/exit"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/peers"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/tokens"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/pgstore"
)

// app is what all commands share: the flags that each of them has.
type app struct {
	version string
	addr    string
	bearer  string // file with the token for addr
	dir     string
	json    bool
	ran     bool // a command has begun: its arguments were usable
}

// Run runs the command line and returns the exit code. The commands in more
// are added to syncd's own.
func Run(ctx context.Context, version string, args []string, stdout, stderr io.Writer, more ...*cobra.Command) int {
	a := &app{version: version}
	root := a.root()
	root.AddCommand(more...)
	root.SetArgs(negativeAmounts(args))
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exit.OK
	}
	code := codeOf(err)
	if !a.ran {
		code = exit.Usage
		a.json = a.json || slices.Contains(args, "--json") // the flags after a wrong one were not read
	}
	a.complain(stderr, cmd, err)
	return code
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "syncd",
		Short: "Structured data that is always writable, offline or not, and syncs when devices meet",
		Long: `syncd keeps spaces of sets, counters, flags, registers and maps on this device. They
can always be read and written, and become equal to those of other devices when they
meet.

Begin with:
  syncd demo                  two devices in conflict, and how it ends
  syncd serve                 run a device; the other commands speak to it
  syncd add notes tags home   then: syncd get notes tags

Exit codes:
` + exit.Table,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			a.ran = true
		},
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return fmt.Errorf("%w\n  what begins with - and is no flag comes after --", err)
	})
	f := root.PersistentFlags()
	f.StringVar(&a.dir, "dir", os.Getenv("JOINERY_DIR"), "data `directory` of the device [$JOINERY_DIR]")
	f.StringVar(&a.addr, "addr", os.Getenv("JOINERY_ADDR"), "`address` of the daemon to speak to, instead of the one of the data directory [$JOINERY_ADDR]")
	f.StringVar(&a.bearer, "bearer", os.Getenv("JOINERY_BEARER"), "`file` with the token for the daemon at --addr [$JOINERY_BEARER]")
	f.BoolVar(&a.json, "json", false, "print JSON, and take values as JSON")
	root.AddCommand(
		a.serve(), a.status(), a.spaces(), a.get(), a.add(), a.remove(), a.set(), a.inc(), a.enable(), a.disable(), a.tx(), a.watch(),
		a.peers(), a.tokens(), a.devices(), a.quarantine(), a.explain(), a.export(), a.importFiles(), a.doctor(), a.compact(), a.demo(), a.versionCommand(),
	)
	return root
}

// negative matches an amount that would be taken for a flag.
var negative = regexp.MustCompile(`^-\d+$`)

// negativeAmounts lets inc take a negative amount as it stands.
func negativeAmounts(args []string) []string {
	if !slices.Contains(args, "inc") {
		return args
	}
	args = slices.Clone(args)
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if negative.MatchString(arg) && args[i-min(i, 1)] != "--by" {
			args[i] = "--by=" + arg
		}
	}
	return args
}

// client returns a client of the daemon that the flags name.
func (a *app) client() (*client.Client, error) {
	if a.addr != "" {
		return a.remote()
	}
	dir, err := datadir.At(a.dir)
	if err != nil {
		return nil, err
	}
	address, err := dir.Address()
	if err != nil {
		return nil, err
	}
	c := client.New(address, string(dir))
	token, errToken := dir.LocalToken()
	leaf, errLeaf := dir.Certificate()
	if c.Authorize(token); leaf != nil {
		c.Pin(leaf)
	}
	return c, errors.Join(errToken, errLeaf)
}

// remote returns a client of the daemon at the address that the flags name.
func (a *app) remote() (*client.Client, error) {
	c := client.New(a.addr, "")
	if a.bearer == "" {
		return c, nil
	}
	token, err := tokens.ReadToken(a.bearer)
	c.Authorize(token)
	return c, err
}

// printJSON writes v as one line of JSON.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// causes maps kinds of errors to exit codes.
var causes = []struct {
	kind error
	code int
}{
	{client.ErrUnreachable, exit.Unreachable},
	{datadir.ErrNotRunning, exit.Unreachable},
	{datadir.ErrForeign, exit.Storage},
	{peers.ErrFile, exit.Storage},
	{store.ErrLocked, exit.Storage},
	{store.ErrForeign, exit.Storage},
	{store.ErrNewer, exit.Storage},
	{pgstore.ErrUnavailable, exit.Unreachable},
	{pgstore.ErrUnsupported, exit.Storage},
	{daemon.ErrExposed, exit.Usage},
	{daemon.ErrTLS, exit.Usage},
	{tokens.ErrFile, exit.Usage},
	{tokens.ErrName, exit.Usage},
	{daemon.ErrAddress, exit.Usage},
	{jsonvalue.ErrJSON, exit.Usage},
	{crdt.ErrValue, exit.Usage},
}

func codeOf(err error) int {
	if p, ok := errors.AsType[*v1.Problem](err); ok {
		return p.ExitCode()
	}
	if _, ok := errors.AsType[*store.CorruptError](err); ok {
		return exit.Storage
	}
	for _, c := range causes {
		if errors.Is(err, c.kind) {
			return c.code
		}
	}
	return exit.Code(err)
}

// complain says what went wrong, and what to do about it.
func (a *app) complain(w io.Writer, cmd *cobra.Command, err error) {
	if a.json {
		p, ok := errors.AsType[*v1.Problem](err)
		if !ok {
			p = &v1.Problem{Code: "failed", Title: "failed", Detail: err.Error()}
		}
		_ = printJSON(w, p)
		return
	}
	fmt.Fprintln(w, "syncd:", err)
	switch {
	case !a.ran:
		fmt.Fprintf(w, "  see: %s --help\n", cmd.CommandPath())
	case errors.Is(err, datadir.ErrNotRunning):
		fmt.Fprintln(w, "  start one with: syncd serve (with the same --dir), or name its address with --addr")
	}
}
