package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/exit"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/objects"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
)

func (a *app) add() *cobra.Command {
	cmd := a.valueCommand("add", cobra.MinimumNArgs(3))
	cmd.Use, cmd.Short = "add SPACE KEY VALUE...", "Add elements to a set"
	cmd.Example = "  syncd add notes tags home garden\n  syncd add notes sizes 42 --json --type gset"
	return cmd
}

func (a *app) remove() *cobra.Command {
	cmd := a.valueCommand("remove", cobra.MinimumNArgs(3))
	cmd.Use, cmd.Short = "remove SPACE KEY VALUE...", "Remove elements from a set"
	cmd.Example = "  syncd remove notes tags home"
	return cmd
}

func (a *app) set() *cobra.Command {
	cmd := a.valueCommand("set", cobra.ExactArgs(3))
	cmd.Use, cmd.Short = "set SPACE KEY VALUE", "Set a register"
	cmd.Example = `  syncd set notes title Groceries
  syncd set notes title '"Groceries"'
  syncd set notes theme dark --type mvregister`
	return cmd
}

// valueCommand is a command that does one operation with each of its values, in
// one change.
func (a *app) valueCommand(op string, args cobra.PositionalArgs) *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Long: "The operations of one command are one change: all of them happen, or none.\n\n" + valueHelp,
		Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			var ops []v1.Op
			for _, arg := range args[2:] {
				v, err := a.parseValue(arg)
				if err != nil {
					return err
				}
				ops = append(ops, v1.Op{Op: op, Type: kind, Key: args[1], Value: v})
			}
			return a.do(cmd, args[0], ops...)
		},
	}
	typeFlag(cmd, &kind, objects.DefaultType(op))
	return cmd
}

func (a *app) inc() *cobra.Command {
	var kind string
	var by int64
	cmd := &cobra.Command{
		Use:     "inc SPACE KEY [AMOUNT]",
		Short:   "Change a counter, by 1 or by an amount that may be negative",
		Example: "  syncd inc notes likes\n  syncd inc notes likes 2\n  syncd inc notes likes -2",
		Args:    cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 3 {
				n, err := strconv.ParseInt(args[2], 10, 64)
				if err != nil {
					return exit.With(exit.Usage, fmt.Errorf("the amount %q is not an integer of 64 bits", args[2]))
				}
				by = n
			}
			return a.do(cmd, args[0], v1.Op{Op: "inc", Type: kind, Key: args[1], By: &by})
		},
	}
	typeFlag(cmd, &kind, objects.DefaultType("inc"))
	cmd.Flags().Int64Var(&by, "by", 1, "the `amount`")
	return cmd
}

func (a *app) tx() *cobra.Command {
	return &cobra.Command{
		Use:   "tx SPACE",
		Short: "Do several operations as one change, from JSON on stdin",
		Long: `Tx reads {"ops": [...]} and does all of the operations, or none, as one change.
An operation is {"op": ..., "type": ..., "key": ..., "value": ... or "by": ...}:

  add, remove   orset (default), rwset, twopset; add also gset
  set           lww (default), mvregister
  clear         mvregister
  inc, reset    pncounter`,
		Example: `  echo '{"ops": [{"op": "set", "key": "title", "value": "Groceries"},
                 {"op": "inc", "key": "likes", "by": 2}]}' | syncd tx notes`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			written, err := c.DoJSON(cmd.Context(), args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			return a.report(cmd, written)
		},
	}
}

// do sends operations and says what became of them.
func (a *app) do(cmd *cobra.Command, space string, ops ...v1.Op) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	written, err := c.Do(cmd.Context(), space, ops...)
	if err != nil {
		return err
	}
	return a.report(cmd, written)
}

func (a *app) report(cmd *cobra.Command, w v1.Written) (err error) {
	switch out := cmd.OutOrStdout(); {
	case a.json:
		err = printJSON(out, w)
	case w.Changed:
		_, err = fmt.Fprintln(out, "change", w.Change)
	default:
		_, err = fmt.Fprintln(out, "nothing to change")
	}
	return err
}
