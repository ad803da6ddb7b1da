package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/client"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
)

func (a *app) watch() *cobra.Command {
	return &cobra.Command{
		Use:   "watch SPACE [PREFIX]",
		Short: "Print what changes, here or on other devices, until interrupted",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			prefix := strings.Join(args[1:], "")
			w, err := c.Watch(cmd.Context(), args[0], prefix)
			if err != nil {
				return err
			}
			defer w.Close()
			fmt.Fprintf(cmd.ErrOrStderr(), "# watching %s%s\n", args[0], strings.TrimRight(" "+prefix, " "))
			names := &writers{client: c, names: make(map[string]string)}
			for ev, err := range w.Events(cmd.Context()) {
				if errors.Is(err, context.Canceled) {
					return nil
				}
				if err != nil {
					return err
				}
				if err := a.showEvent(cmd, ev, names); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// writers knows the names of the devices that write.
type writers struct {
	client *client.Client
	names  map[string]string // by origin
}

// name returns what people call the writer of an event, or the beginning of its
// origin if it is none of the peers.
func (w *writers) name(ctx context.Context, ev v1.Event) string {
	origin, _, _ := strings.Cut(ev.Change, "/")
	if name, ok := w.names[origin]; ok {
		return name
	}
	w.names[origin] = fmt.Sprintf("%.8s", origin)
	st, err := w.client.Status(ctx)
	if err != nil {
		return w.names[origin]
	}
	for _, p := range st.Peers {
		if p.Name != "" {
			w.names[p.Origin] = p.Name
		}
	}
	return w.names[origin]
}

func (a *app) showEvent(cmd *cobra.Command, ev v1.Event, names *writers) error {
	out := cmd.OutOrStdout()
	if a.json {
		return printJSON(out, ev)
	}
	from := "here"
	if !ev.Local {
		from = "from " + names.name(cmd.Context(), ev)
	}
	_, err := fmt.Fprintf(out, "%s  %-12s  %-24s  %s\n", ev.Time.Local().Format(time.TimeOnly), ev.Key, Describe(ev), from)
	if c := ev.Conflict; err == nil && c != nil {
		verb := "it prevails over"
		if len(ev.Values) > 1 {
			verb = "it is kept beside"
		}
		_, err = fmt.Fprintf(out, "          conflict: %s was written concurrently; %s %s\n", side(c.Kept), verb, side(c.Other))
	}
	return err
}

// side returns what one side of a conflict wrote.
func side(s v1.Side) string {
	if s.Value == nil {
		return "a removal"
	}
	return display(s.Value)
}

// Describe says in a few words what an event did: where in an ormap, and what.
func Describe(ev v1.Event) string {
	var words []string
	for _, step := range ev.Path {
		words = append(words, display(step.Field))
	}
	return strings.Join(append(words, describe(ev)), " ")
}

func describe(ev v1.Event) string {
	switch {
	case ev.By != nil && ev.Element != nil:
		return fmt.Sprintf("%s %+d", display(ev.Element), *ev.By)
	case ev.By != nil:
		return fmt.Sprintf("%+d", *ev.By)
	case ev.Field != nil && ev.Value != nil:
		return display(ev.Field) + " = " + display(ev.Value)
	case ev.Field != nil:
		return "- " + display(ev.Field)
	case ev.Present != nil && !ev.Differ:
		return "= " + display(ev.Element)
	case ev.Present != nil && *ev.Present:
		return "+ " + display(ev.Element)
	case ev.Present != nil:
		return "- " + display(ev.Element)
	case ev.Values != nil:
		var all []string
		for _, v := range ev.Values {
			all = append(all, display(v))
		}
		return strings.Join(all, " | ")
	case ev.Value != nil:
		return display(ev.Value)
	}
	return "changed (" + ev.Type + ")"
}
