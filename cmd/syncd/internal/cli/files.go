package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/client"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/exit"
	"github.com/joinery-crdt/joinery/sync/node"
)

func (a *app) export() *cobra.Command {
	return &cobra.Command{
		Use:   "export SPACE > FILE",
		Short: "Write a space to stdout as a drop file",
		Long: `A drop file carries the changes of a space by hand, for example on a USB stick. It
can be imported on any device, any number of times, in any order.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if isTerminal(cmd.OutOrStdout()) {
				return exit.With(exit.Usage, errors.New("a drop file is not for the screen\n  write it to a file with: syncd export "+args[0]+" > FILE"))
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			return c.Export(cmd.Context(), args[0], cmd.OutOrStdout())
		},
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull
}

func (a *app) importFiles() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE...",
		Short: "Apply drop files; - is stdin",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			for _, name := range args {
				if err := a.importFile(cmd, c, name); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *app) importFile(cmd *cobra.Command, c *client.Client, name string) error {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return exit.With(exit.NotFound, err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	report, err := c.Import(cmd.Context(), in)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return a.showImport(cmd, name, report)
}

func (a *app) showImport(cmd *cobra.Command, name string, r node.ImportReport) error {
	if a.json {
		return printJSON(cmd.OutOrStdout(), r)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %d changes applied to %s, %d were here already\n", name, r.Applied, r.Space, r.Duplicate)
	return err
}
