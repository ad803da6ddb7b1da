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
	cmd := a.fieldCommand("remove", cobra.MinimumNArgs(3), cobra.ExactArgs(2))
	cmd.Use, cmd.Short = "remove SPACE KEY VALUE... | --field FIELD", "Remove elements from a set, or a field from an lwwmap"
	cmd.Example = "  syncd remove notes tags home\n  syncd remove notes profile --field phone"
	return cmd
}

func (a *app) set() *cobra.Command {
	cmd := a.fieldCommand("set", cobra.ExactArgs(3), cobra.ExactArgs(3))
	cmd.Use, cmd.Short = "set SPACE KEY VALUE", "Set a register, or a field of an lwwmap"
	cmd.Example = `  syncd set notes title Groceries
  syncd set notes title '"Groceries"'
  syncd set notes theme dark --type mvregister
  syncd set notes profile Ada --field name`
	return cmd
}

func (a *app) enable() *cobra.Command {
	cmd := a.flagCommand("enable")
	cmd.Short, cmd.Example = "Enable a flag", "  syncd enable notes archived\n  syncd enable notes shared --type dwflag"
	return cmd
}

func (a *app) disable() *cobra.Command {
	cmd := a.flagCommand("disable")
	cmd.Short, cmd.Example = "Disable a flag", "  syncd disable notes archived"
	return cmd
}

func (a *app) flagCommand(op string) *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use:  op + " SPACE KEY",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.do(cmd, args[0], v1.Op{Op: op, Type: kind, Key: args[1]})
		},
	}
	typeFlag(cmd, &kind, objects.DefaultType(op))
	return cmd
}

const writeHelp = "The operations of one command are one change: all of them happen, or none.\n\n" + valueHelp

// valueCommand is a command that does one operation with each of its values, in
// one change.
func (a *app) valueCommand(op string, args cobra.PositionalArgs) *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Long: writeHelp,
		Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.doValues(cmd, v1.Op{Op: op, Type: kind, Key: args[1]}, args)
		},
	}
	typeFlag(cmd, &kind, objects.DefaultType(op))
	return cmd
}

// doValues does an operation with each of the values that follow the key.
func (a *app) doValues(cmd *cobra.Command, op v1.Op, args []string) error {
	var ops []v1.Op
	for _, arg := range args[2:] {
		v, err := a.parseValue(arg)
		if err != nil {
			return err
		}
		op.Value = v
		ops = append(ops, op)
	}
	return a.do(cmd, args[0], ops...)
}

// fieldCommand is a value command with the flag --field, which has other
// arguments and is by default for an lwwmap.
func (a *app) fieldCommand(op string, args, withField cobra.PositionalArgs) *cobra.Command {
	cmd := a.valueCommand(op, nil)
	var field string
	cmd.Flags().StringVar(&field, "field", "", "the `field` of an lwwmap, written as a VALUE is")
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if cmd.Flags().Changed("field") {
			return withField(cmd, given)
		}
		return args(cmd, given)
	}
	doAll := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("field") {
			return doAll(cmd, args)
		}
		f, err := a.parseValue(field)
		if err != nil {
			return err
		}
		write := v1.Op{Op: op, Key: args[1], Field: f}
		if cmd.Flags().Changed("type") {
			write.Type = cmd.Flag("type").Value.String()
		}
		if len(args) == 2 {
			return a.do(cmd, args[0], write)
		}
		return a.doValues(cmd, write, args)
	}
	return cmd
}

func (a *app) inc() *cobra.Command {
	var kind string
	var by int64
	cmd := &cobra.Command{
		Use:   "inc SPACE KEY [AMOUNT]",
		Short: "Change a counter, by 1 or by an amount that may be negative",
		Long: `Inc adds an amount to a counter. A gcounter takes no negative one; a bounded
counter never falls below 0, and takes one of at most the rights that this device
has, by having counted up itself.`,
		Example: "  syncd inc notes likes\n  syncd inc notes likes 2\n  syncd inc notes likes -2\n  syncd inc notes stock 10 --type bounded",
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
An operation is {"op": ..., "type": ..., "key": ...} with what the op takes:

  add, remove      "value"           orset (default), rwset, twopset, uset,
                                     lwwset, lwwset-remove, pnset; add also gset
  set              "value"           lww (default), mvregister
  set              "field", "value"  lwwmap
  remove           "field"           lwwmap
  inc              "by", default 1   pncounter (default), gcounter, bounded
  reset                              pncounter
  reset            "value"           pnset
  clear                              mvregister
  enable, disable                    ewflag (default), dwflag`,
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
