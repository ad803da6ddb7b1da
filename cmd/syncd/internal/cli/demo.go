package cli

import (
	"github.com/spf13/cobra"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/demo"
)

func (a *app) demo() *cobra.Command {
	var leave bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show two devices in conflict, and how it ends; then let you play with them",
		Long: `Demo runs two devices with data directories of their own in a temporary place. They
are edited while apart, and brought together. It then keeps them running until it is
interrupted, and removes what they stored.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo.Run(cmd.Context(), demo.Options{Version: a.version, Exit: leave}, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&leave, "exit", false, "end after the show")
	return cmd
}
