package cli

import (
	"cmp"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/joinery-crdt/joinery/sync/node"
)

func (a *app) explain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain SPACE CHANGE",
		Short: "Say where a change is, here and at each peer, and what blocks it",
		Long: `A CHANGE is origin/number, as writing prints it. Each peer that is connected is asked;
one that does not answer within some seconds is silent. A change is applied, waiting for
another one, refused, forbidden to this device, or unknown: it has not come.`,
		Example: "  syncd explain notes 6ba7b810-9dad-41d1-80b4-00c04fd430c8/7",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			found, err := c.Explain(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			if a.json {
				return printJSON(cmd.OutOrStdout(), found)
			}
			return showWhereabouts(cmd.OutOrStdout(), found.Whereabouts)
		},
	}
}

func showWhereabouts(w io.Writer, list []node.Whereabouts) error {
	t := table(w)
	fmt.Fprintln(t, "DEVICE\tAT\tSTATE\tWHY")
	for _, p := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", printable(cmp.Or(p.Name, "-")), cmp.Or(p.Peer, "here"), printable(p.State), whyThere(p))
	}
	return t.Flush()
}

// whyThere says what blocks a change, empty if nothing does.
func whyThere(p node.Whereabouts) string {
	why := printable(p.Reason)
	if p.Missing != "" {
		why += ", first " + p.Missing
	}
	return why
}
