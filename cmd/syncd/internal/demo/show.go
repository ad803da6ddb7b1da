package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/crdt"
)

// space is the space in which everything happens.
const space = "notes"

// patience is how long the devices may take to become equal.
const patience = 30 * time.Second

// show is the story.
type show struct {
	ctx           context.Context
	out           io.Writer
	laptop, phone *device
	watch         context.CancelFunc
	conflicts     chan v1.Event // that laptop was told of
}

func (s *show) run() error {
	for _, act := range []func() error{s.together, s.apart, s.reunited, s.decided} {
		if err := act(); err != nil {
			return err
		}
	}
	return nil
}

func (s *show) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

func text(word string) jsonvalue.Value {
	v, _ := jsonvalue.String(word) // a constant of this package
	return v
}

func set(key, word string) v1.Op {
	return v1.Op{Op: "set", Type: crdt.LWWKind.Name(), Key: key, Value: text(word)}
}

func setBeside(key, word string) v1.Op {
	return v1.Op{Op: "set", Type: crdt.MVKind.Name(), Key: key, Value: text(word)}
}

func tag(op, word string) v1.Op {
	return v1.Op{Op: op, Type: crdt.ORSetKind.Name(), Key: "tags", Value: text(word)}
}

func inc(key string, by int64) v1.Op {
	return v1.Op{Op: "inc", Type: crdt.PNCounterKind.Name(), Key: key, By: &by}
}

// do does operations on a device, each as the command that it prints.
func (s *show) do(d *device, ops ...v1.Op) error {
	for _, op := range ops {
		s.say("  %-7s %s", d.name+"$", command(op))
		if _, err := d.api.Do(s.ctx, space, op); err != nil {
			return err
		}
	}
	return nil
}

// command returns the command that does op.
func command(op v1.Op) string {
	words := []string{"syncd", op.Op, space, op.Key}
	if op.By != nil {
		words = append(words, fmt.Sprint(*op.By))
	} else if word := plain(op.Value); strings.Contains(word, " ") {
		words = append(words, "'"+word+"'")
	} else {
		words = append(words, word)
	}
	if op.Type == crdt.MVKind.Name() {
		words = append(words, "--type "+op.Type)
	}
	return strings.Join(words, " ")
}

// plain returns a text without the quotes of JSON.
func plain(v jsonvalue.Value) string {
	if s, err := crdt.DecodeValue[string](v); err == nil {
		return s
	}
	return v.Text()
}

func (s *show) together() error {
	s.say("Two devices, laptop and phone, each with a store of its own.\n")
	s.say("1. Connected. Laptop writes a note, phone has it too.\n")
	if _, err := s.laptop.api.AddPeer(s.ctx, v1.NewPeer{URL: s.phone.api.Address()}); err != nil {
		return err
	}
	err := s.do(s.laptop, set("title", "Groceries"), tag("add", "home"), tag("add", "urgent"), inc("likes", 1), setBeside("colour", "white"))
	if err != nil {
		return err
	}
	if _, err := s.level(); err != nil {
		return err
	}
	return s.compare()
}

func (s *show) apart() error {
	if err := s.laptop.api.RemovePeer(s.ctx, s.phone.api.Address()); err != nil {
		return err
	}
	s.say("2. Apart. The connection is cut; both are edited all the same.\n")
	err := s.do(s.laptop, set("title", "Shopping list"), tag("remove", "urgent"), inc("likes", 2), setBeside("colour", "green"))
	if err != nil {
		return err
	}
	err = s.do(s.phone, tag("add", "urgent"), inc("likes", 3), setBeside("colour", "blue"), set("title", "Weekend shopping"))
	if err != nil {
		return err
	}
	return s.compare()
}

func (s *show) reunited() error {
	if err := s.listen(); err != nil {
		return err
	}
	defer s.watch()
	if _, err := s.laptop.api.AddPeer(s.ctx, v1.NewPeer{URL: s.phone.api.Address()}); err != nil {
		return err
	}
	st, err := s.level()
	if err != nil {
		return err
	}
	title, err := s.conflict("title")
	if err != nil {
		return err
	}
	s.say("3. Together again. Both hold the same, byte for byte: contents %.12s.\n", st.Fingerprint)
	return s.explain(title)
}

// explain prints what both devices hold, and why.
func (s *show) explain(title *v1.Conflict) error {
	why := []struct{ key, reason string }{
		{"title", fmt.Sprintf("the later write prevails; watchers are told what it met: %q", plain(title.Other.Value))},
		{"tags", "urgent was added while it was removed elsewhere: the add wins, for its writer had not seen the remove"},
		{"likes", "1 before, then 2 here and 3 there: counts add up"},
		{"colour", "kept side by side until somebody decides"},
	}
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  \tlaptop = phone\twhy")
	for _, w := range why {
		here, err := s.read(s.laptop, w.key)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", w.key, here, w.reason)
	}
	fmt.Fprintln(t)
	return t.Flush()
}

func (s *show) decided() error {
	s.say("4. Phone decides on the colour.\n")
	if err := s.do(s.phone, setBeside("colour", "teal")); err != nil {
		return err
	}
	if _, err := s.level(); err != nil {
		return err
	}
	return s.compare()
}

// kinds is the type of each key of the note.
var kinds = []struct{ key, kind string }{
	{"title", crdt.LWWKind.Name()},
	{"tags", crdt.ORSetKind.Name()},
	{"likes", crdt.PNCounterKind.Name()},
	{"colour", crdt.MVKind.Name()},
}

// compare prints what each device holds.
func (s *show) compare() error {
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\n  \t%s\t%s\n", s.laptop.name, s.phone.name)
	for _, k := range kinds {
		left, err := s.read(s.laptop, k.key)
		if err != nil {
			return err
		}
		right, err := s.read(s.phone, k.key)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", k.key, left, right)
	}
	fmt.Fprintln(t)
	return t.Flush()
}

// read returns what a device holds under a key.
func (s *show) read(d *device, key string) (string, error) {
	for _, k := range kinds {
		if k.key != key {
			continue
		}
		o, err := d.api.Object(s.ctx, space, k.kind, key)
		if err != nil {
			return "", err
		}
		return words(o), nil
	}
	return "", fmt.Errorf("demo: the note has no %q", key)
}

func words(o v1.Object) string {
	if o.Value != nil {
		return plain(o.Value)
	}
	var all []string
	for _, v := range append(o.Elements, o.Values...) {
		all = append(all, plain(v))
	}
	if o.Conflict {
		return strings.Join(all, " | ")
	}
	return strings.Join(all, ", ")
}

// errDiffer: the devices did not become equal.
var errDiffer = errors.New("demo: the devices did not become equal")
