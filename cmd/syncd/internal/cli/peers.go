package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/client"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/exit"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/peers"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
)

func (a *app) peers() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "peers",
		Short: "List, add and remove the devices that this one connects to",
		Long: `One of two devices needs the address of the other; changes flow both ways. Peers
are remembered, and tried again until they answer.`,
		Args: cobra.NoArgs,
		RunE: a.listPeers,
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List the peers", Args: cobra.NoArgs, RunE: a.listPeers},
		a.addPeer(),
		&cobra.Command{
			Use: "remove ADDRESS", Short: "Forget a peer; both devices keep what they have", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				c, err := a.client()
				if err != nil {
					return err
				}
				return c.RemovePeer(cmd.Context(), args[0])
			},
		},
	)
	return cmd
}

func (a *app) listPeers(cmd *cobra.Command, _ []string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	found, err := c.Peers(cmd.Context())
	if err != nil {
		return err
	}
	if a.json {
		return printJSON(cmd.OutOrStdout(), found)
	}
	t := table(cmd.OutOrStdout())
	for _, p := range found.Peers {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", p.URL, p.State, p.Name, p.Error)
	}
	return t.Flush()
}

func (a *app) addPeer() *cobra.Command {
	var wait time.Duration
	var tokenFile string
	cmd := &cobra.Command{
		Use:   "add ADDRESS",
		Short: "Connect to another device, now and after restarts",
		Long: `Add takes the address that the other device's serve prints. The peer is remembered
even if it cannot be reached now; with --wait, not being connected in time is exit code 3.

A device that asks for tokens is shown the one in the file: make it there with
syncd token issue. The file is read again whenever it changes. Adding a peer anew
changes its file.`,
		Example: `  syncd peers add http://127.0.0.1:7441
  syncd peers add https://hub.example:7440 --token-file laptop.token`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			peer := v1.NewPeer{URL: args[0]}
			if tokenFile != "" {
				if peer.TokenFile, err = filepath.Abs(tokenFile); err != nil {
					return err
				}
			}
			p, err := c.AddPeer(cmd.Context(), peer)
			if err != nil {
				return err
			}
			return a.reportPeer(cmd, c, p, wait)
		},
	}
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "`file` with the token to show to the other device")
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait this `long` for the connection")
	return cmd
}

// firstTry is how long to wait for the outcome of the first attempt.
const firstTry = 2 * time.Second

// reportPeer waits for the connection, or for the outcome of the first attempt,
// and prints it.
func (a *app) reportPeer(cmd *cobra.Command, c *client.Client, p v1.Peer, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), max(wait, firstTry))
	defer cancel()
	p, err := awaitPeer(ctx, c, p, wait == 0)
	if err != nil {
		return err
	}
	if p.State == v1.PeerRefused {
		return exit.With(exit.Refused, fmt.Errorf("%s: %s\n  %s\n  take it off with: syncd peers remove %[1]s", p.URL, p.Error, refusedAdvice(p)))
	}
	if wait > 0 && p.State != v1.PeerConnected {
		return exit.With(exit.Unreachable, fmt.Errorf("%s did not connect in %v: %s\n  it is remembered and tried again; see: syncd status", p.URL, wait, p.Error))
	}
	switch out := cmd.OutOrStdout(); {
	case a.json:
		err = printJSON(out, p)
	case p.State == v1.PeerConnected:
		_, err = fmt.Fprintf(out, "connected to %s at %s\n", p.Name, p.URL)
	default:
		_, err = fmt.Fprintf(out, "added %s, which is not connected yet: %s\nit is tried again until it answers; see: syncd status\n", p.URL, p.Error)
	}
	return err
}

// refusedAdvice says what helps with a peer that does not want the link.
func refusedAdvice(p v1.Peer) string {
	if strings.Contains(p.Error, "needs_auth") {
		return fmt.Sprintf("make a token on that device with: syncd token issue NAME\n  show it with: syncd peers add %s --token-file FILE", p.URL)
	}
	return "trying again cannot help; what does, says: syncd status"
}

// awaitPeer returns the peer when it is connected, or has an error if that is
// enough, or as it is when ctx ends.
func awaitPeer(ctx context.Context, c *client.Client, p v1.Peer, orError bool) (v1.Peer, error) {
	url, err := peers.Normalise(p.URL)
	if err != nil {
		return p, err
	}
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		if p.State == v1.PeerConnected || p.State == v1.PeerRefused || orError && p.Error != "" {
			return p, nil
		}
		select {
		case <-ctx.Done():
			return p, nil
		case <-poll.C:
		}
		all, err := c.Peers(ctx)
		if err != nil && ctx.Err() == nil {
			return p, err
		}
		for _, q := range all.Peers {
			if q.URL == url {
				p = q
			}
		}
	}
}
