package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/client"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/sync/node"
)

func (a *app) quarantine() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "quarantine",
		Short: "List the changes that were refused, try them again, and drop them",
		Long: `A change that cannot be applied here, because it is from the future, malformed, or
of a device that was copied, is kept over restarts until it is applied or dropped.
What depends on it waits, all else flows. Each is listed with why it was refused and
what can be done about it.`,
		Args: cobra.NoArgs,
		RunE: a.listQuarantine,
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List the changes in quarantine", Args: cobra.NoArgs, RunE: a.listQuarantine},
		a.onQuarantined("retry", "Try to apply a change again; if it is refused again, it stays", "applied", (*client.Client).RetryQuarantined),
		a.onQuarantined("drop", "Forget a change; if it comes and is refused again, it is back", "dropped", (*client.Client).DropQuarantined),
	)
	return cmd
}

func (a *app) listQuarantine(cmd *cobra.Command, _ []string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	found, err := c.Quarantine(cmd.Context())
	if err != nil {
		return err
	}
	if a.json {
		return printJSON(cmd.OutOrStdout(), found)
	}
	return showQuarantine(cmd.OutOrStdout(), found.Quarantine)
}

func showQuarantine(w io.Writer, list []node.Quarantined) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "nothing is in quarantine")
		return err
	}
	for _, q := range list {
		_, err := fmt.Fprintf(w, "%s %s (%s): %s\n  from %s at %s, %d bytes, %d changes wait for it\n  %s\n", printable(q.Space), q.Dot, q.Code,
			printable(q.Reason), printable(cmp.Or(q.From, "a device without a name")), q.At.Local().Format(time.DateTime), q.Bytes, q.Behind, q.Action)
		if err != nil {
			return err
		}
	}
	return nil
}

// printable returns a text that others may have written, quoted if it could do
// anything to a terminal but stand there.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

func (a *app) onQuarantined(name, short, done string, do func(*client.Client, context.Context, string, string) (v1.ChangeChoice, error)) *cobra.Command {
	return &cobra.Command{
		Use: name + " SPACE CHANGE", Short: short, Args: cobra.ExactArgs(2),
		Example: "  syncd quarantine " + name + " notes 6ba7b810-9dad-41d1-80b4-00c04fd430c8/7",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			choice, err := do(c, cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			if a.json {
				return printJSON(cmd.OutOrStdout(), choice)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is %s\n", choice.Change, done)
			return err
		},
	}
}
