package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/client"
	"github.com/joinery-crdt/joinery/sync/node"
)

func (a *app) devices() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "List the devices that keep the same data, and retire those that will not come back",
		Long: `Devices keep the changes that another one lacks until it has them. A device that is
lost or given away would be waited for until it has not been heard for 30 days:
retire it on any device, and the others learn of it.`,
		Args: cobra.NoArgs,
		RunE: a.listDevices,
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List the devices", Args: cobra.NoArgs, RunE: a.listDevices},
		a.turnDevice("retire", "Wait no more for a device, given by its name or origin", "retired", (*client.Client).Retire),
		a.turnDevice("return", "Wait again for a device that was retired", "waited for again", (*client.Client).Return),
	)
	return cmd
}

func (a *app) listDevices(cmd *cobra.Command, _ []string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	found, err := c.Devices(cmd.Context())
	if err != nil {
		return err
	}
	if a.json {
		return printJSON(cmd.OutOrStdout(), found)
	}
	t := table(cmd.OutOrStdout())
	fmt.Fprintln(t, "NAME\tSTATE\tSEEN\tSPACES\tORIGIN")
	for _, d := range found.Devices {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", cmp.Or(d.Name, "-"), deviceState(&d), d.Seen.Local().Format(time.DateTime), deviceSpaces(d.Spaces), d.Origin)
	}
	return t.Flush()
}

func deviceState(d *node.Device) string {
	switch {
	case d.Retired:
		return "retired"
	case d.Connected:
		return "connected"
	case d.Lapsed:
		return "not waited for"
	}
	return "away"
}

func deviceSpaces(spaces []node.DeviceSpace) string {
	var parts []string
	for _, s := range spaces {
		state := "has all"
		if s.Missing > 0 {
			state = fmt.Sprintf("lacks %d", s.Missing)
		}
		parts = append(parts, s.Name+": "+state)
	}
	return strings.Join(parts, ", ")
}

func (a *app) turnDevice(name, short, done string, do func(*client.Client, context.Context, string) (node.Device, error)) *cobra.Command {
	return &cobra.Command{
		Use: name + " DEVICE", Short: short, Args: cobra.ExactArgs(1), Example: "  syncd devices " + name + " phone",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			d, err := do(c, cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return printJSON(cmd.OutOrStdout(), d)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is %s\n", cmp.Or(d.Name, d.Origin.String()), done)
			return err
		},
	}
}
