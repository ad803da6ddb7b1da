package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/client"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/objects"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/sync/node"
)

func (a *app) spaces() *cobra.Command {
	return &cobra.Command{
		Use:   "spaces",
		Short: "List the spaces of this device",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			found, err := c.Spaces(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return printJSON(cmd.OutOrStdout(), found)
			}
			for _, s := range found.Spaces {
				fmt.Fprintln(cmd.OutOrStdout(), s.Name)
			}
			return nil
		},
	}
}

func (a *app) get() *cobra.Command {
	var kind, prefix string
	cmd := &cobra.Command{
		Use:   "get SPACE [KEY]",
		Short: "Print an object, or list the objects of a space",
		Long: `Get prints the elements of a set, the values of a register, the count of a
counter, or whether a flag is enabled, one a line; of an lwwmap the fields and
their values, and of an ormap the fields, their types, and what is in them.
Without a KEY it lists the keys and types of the space.`,
		Example: "  syncd get notes\n  syncd get notes tags\n  syncd get notes title --json",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return a.listObjects(cmd, c, args[0], prefix)
			}
			return a.getObject(cmd, c, args[0], args[1], kind)
		},
	}
	typeFlag(cmd, &kind, "")
	cmd.Flags().StringVar(&prefix, "prefix", "", "list only keys that start with `text`")
	return cmd
}

// typeFlag adds the flag --type, with what it is by default.
func typeFlag(cmd *cobra.Command, kind *string, byDefault string) {
	cmd.Flags().StringVar(kind, "type", byDefault, "`type` of the object: "+fmt.Sprint(objects.Types()))
	_ = cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(objects.Types(), cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) listObjects(cmd *cobra.Command, c *client.Client, space, prefix string) error {
	found, err := c.AllObjects(cmd.Context(), space, prefix)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return nothingIn(space, prefix)
	}
	if a.json {
		return printJSON(cmd.OutOrStdout(), v1.Objects{Space: space, Objects: found})
	}
	t := table(cmd.OutOrStdout())
	for _, o := range found {
		fmt.Fprintf(t, "%s\t%s\n", o.Key, o.Kind)
	}
	return t.Flush()
}

func nothingIn(space, prefix string) error {
	if prefix != "" {
		return v1.NewProblem(v1.ObjectNotFound, fmt.Sprintf("the space %q holds nothing under %q", space, prefix), "see: syncd get "+space)
	}
	return v1.NewProblem(v1.NotFound, fmt.Sprintf("the space %q holds nothing", space), "see: syncd spaces")
}

// table aligns columns that are separated by tabs.
func table(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

func (a *app) getObject(cmd *cobra.Command, c *client.Client, space, key, kind string) error {
	kinds := []string{kind}
	if kind == "" {
		var err error
		if kinds, err = kindsUnder(cmd, c, space, key); err != nil {
			return err
		}
	}
	for _, k := range kinds {
		o, err := c.Object(cmd.Context(), space, k, key)
		if err != nil {
			return err
		}
		if len(kinds) > 1 && !a.json {
			fmt.Fprintf(cmd.ErrOrStderr(), "# %s; %d types are under this key, they are objects of their own\n", k, len(kinds))
		}
		if err := a.show(cmd, o); err != nil {
			return err
		}
	}
	return nil
}

// kindsUnder returns the types of the objects under one key, at least one.
func kindsUnder(cmd *cobra.Command, c *client.Client, space, key string) (kinds []string, err error) {
	// A key comes before all that begin with it.
	page, err := c.Objects(cmd.Context(), space, key, "", len(objects.Types()))
	if err != nil {
		return nil, err
	}
	for _, o := range page.Objects {
		if o == (node.Object{Key: key, Kind: o.Kind}) {
			kinds = append(kinds, o.Kind)
		}
	}
	if len(kinds) == 0 {
		return nil, v1.NewProblem(v1.ObjectNotFound, fmt.Sprintf("the space %q holds nothing under %q", space, key),
			fmt.Sprintf("see what it holds with: syncd get %s", space))
	}
	return kinds, nil
}

func (a *app) show(cmd *cobra.Command, o v1.Object) error {
	out := cmd.OutOrStdout()
	if a.json {
		return printJSON(out, o)
	}
	if err := showContent(out, "", o.Content); err != nil {
		return err
	}
	if o.Conflict {
		fmt.Fprintf(cmd.ErrOrStderr(), "# %d concurrent values; decide with: syncd set %s %s VALUE --type %s\n", len(o.Values), o.Space, o.Key, o.Type)
	}
	return nil
}

// showContent prints what an object holds, one value a line: a field of an lwwmap
// with its value, and one of an ormap with its type above what is in it.
func showContent(out io.Writer, indent string, c v1.Content) error {
	values := append(c.Elements, c.Values...)
	if c.Value != nil {
		values = []jsonvalue.Value{c.Value}
	}
	for _, v := range values {
		fmt.Fprintln(out, indent+display(v))
	}
	t := table(out)
	for _, f := range c.Fields {
		if f.Type == "" {
			fmt.Fprintf(t, "%s%s\t%s\n", indent, display(f.Field), display(f.Value))
			continue
		}
		fmt.Fprintf(out, "%s%s  %s\n", indent, display(f.Field), f.Type)
		if err := showContent(out, indent+"  ", f.Content); err != nil {
			return err
		}
	}
	return t.Flush()
}
