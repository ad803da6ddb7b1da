package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/sync/node"
)

func (a *app) status() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what this device holds, how its peers are, and what to do where something does not flow",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if watch {
				return a.watchStatus(cmd)
			}
			st, err := a.fetchStatus(cmd.Context())
			if err != nil {
				return err
			}
			return a.showStatus(cmd.OutOrStdout(), st)
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "print it again whenever it changes, until interrupted")
	return cmd
}

func (a *app) fetchStatus(ctx context.Context) (v1.Status, error) {
	c, err := a.client()
	if err != nil {
		return v1.Status{}, err
	}
	return c.Status(ctx)
}

// watchStatus prints the status whenever it changes.
func (a *app) watchStatus(cmd *cobra.Command) error {
	poll := time.NewTicker(time.Second)
	defer poll.Stop()
	var last v1.Status
	for {
		st, err := a.fetchStatus(cmd.Context())
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
		if steady := withoutTimes(st); !reflect.DeepEqual(steady, last) {
			last = steady
			if err := a.showStatus(cmd.OutOrStdout(), st); err != nil {
				return err
			}
		}
		select {
		case <-poll.C:
		case <-cmd.Context().Done():
			return nil
		}
	}
}

// withoutTimes returns the status without what changes by itself.
func withoutTimes(st v1.Status) v1.Status {
	st.Peers = append([]node.PeerStatus{}, st.Peers...)
	for i := range st.Peers {
		st.Peers[i].Next, st.Peers[i].Phi = time.Time{}, 0
	}
	return st
}

func (a *app) showStatus(w io.Writer, st v1.Status) error {
	if a.json {
		return printJSON(w, st)
	}
	fmt.Fprintf(w, "%s  at %s  data in %s\n\n", st.Name, st.Address, st.Dir)
	t := table(w)
	fmt.Fprintln(t, "SPACE\tCHANGES\tWRITERS\tCONTENTS")
	for _, s := range st.Spaces {
		fmt.Fprintf(t, "%s\t%d\t%d\t%.12s%s\n", s.Name, s.Changes, s.Origins, s.Fingerprint, staged(s))
	}
	fmt.Fprintln(t)
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(t, "PEER\tSTATE\tNAME\tSPACES")
	for _, p := range st.Peers {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", p.Address, peerState(p), p.Name, peerSpaces(p.Spaces))
	}
	fmt.Fprintln(t)
	if err := t.Flush(); err != nil {
		return err
	}
	if came := rungs(st.Rungs); came != "" {
		fmt.Fprintf(w, "changes from peers since the start: %s\n\n", came)
	}
	return showProblems(w, st.Problems)
}

// staged says how far a snapshot of a space has come, if one is coming.
func staged(s node.SpaceStatus) string {
	if s.Staged == 0 {
		return ""
	}
	return fmt.Sprintf(", %d parts of a snapshot", s.Staged)
}

// rungs says over which rungs of the ladder changes came.
func rungs(g node.Rungs) string {
	var parts []string
	for _, rung := range []struct {
		count uint64
		what  string
	}{
		{g.Push, "as they were made"},
		{g.Cursor, "after resuming where both had been"},
		{g.Vector, "after comparing vectors"},
		{g.Part, "snapshots of what was new"},
		{g.Audit, "repaired cells"},
		{g.Snapshot, "whole snapshots"},
	} {
		if rung.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", rung.count, rung.what))
		}
	}
	return strings.Join(parts, ", ")
}

func peerState(p node.PeerStatus) string {
	if p.State != "waiting" || p.Next.IsZero() {
		return p.State
	}
	return "next try at " + p.Next.Local().Format(time.TimeOnly)
}

func peerSpaces(spaces []node.PeerSpaces) string {
	var parts []string
	for _, s := range spaces {
		state := "level"
		switch {
		case !s.Level && s.Missing == 0:
			state = "catching up"
		case !s.Level:
			state = fmt.Sprintf("%d to send", s.Missing)
		}
		parts = append(parts, s.Name+": "+state)
	}
	return strings.Join(parts, ", ")
}

func showProblems(w io.Writer, problems []node.Problem) error {
	if len(problems) == 0 {
		_, err := fmt.Fprintln(w, "no problems")
		return err
	}
	for _, p := range problems {
		about := strings.TrimSpace(strings.Join([]string{p.Space, p.Peer}, " "))
		if _, err := fmt.Fprintf(w, "%s (%s): %s\n  %s\n", p.Code, about, p.Cause, p.Action); err != nil {
			return err
		}
	}
	return nil
}
