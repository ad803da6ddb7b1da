package replay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/sync/node"
)

// Results is what a replay ends with, in the shape of the expected files.
type Results struct {
	Events    int       `json:"events"`
	Replicas  int       `json:"replicas"`
	Paths     int       `json:"paths"`
	Changes   int       `json:"changes"`
	GSet      Set       `json:"gset"`
	TwoPhase  Set       `json:"two_phase_set"`
	AddWins   Set       `json:"add_wins_set"`
	RemoveWin Set       `json:"remove_wins_set"`
	Counter   Counter   `json:"pn_counter"`
	Registers Registers `json:"mv_registers"`
}

// A Set is the size of a set and a hash of its sorted elements.
type Set struct {
	Count  int    `json:"count"`
	SHA256 string `json:"sha256"`
}

// A Counter is what was added, what was subtracted, and the difference.
type Counter struct {
	Increments int64 `json:"increments"`
	Decrements int64 `json:"decrements"`
	Value      int64 `json:"value"`
}

// A Registers is the registers that hold values, by number of values.
type Registers struct {
	Present      int            `json:"present"`
	ValuesPerKey map[string]int `json:"values_per_key"`
	SHA256       string         `json:"sha256"`
}

// The objects of a replayed space. Each path has a register of its own.
var (
	grown      = node.GSet[string]("gset")
	twoPhase   = node.TwoPSet[string]("two-phase")
	addWins    = node.ORSet[string]("add-wins")
	removeWins = node.RWSet[string]("remove-wins")
	increments = node.PNCounter("increments")
	decrements = node.PNCounter("decrements")
	value      = node.PNCounter("value")
)

const registerPrefix = "path/"

func register(path string) object.MVRegister[int] { return node.MVRegister[int](registerPrefix + path) }

// contents is what a replay ends with, before it is counted and hashed.
type contents struct {
	grown, twoPhase, addWins, removeWins []string
	counter                              Counter // Value included
	registers                            map[string][]int
}

// collect reads the results out of a space.
func collect(ctx context.Context, s *node.Space, h *History) (r *Results, err error) {
	err = s.View(ctx, func(v *node.View) error {
		c, err := contentsOf(v, v.Objects(registerPrefix))
		r = c.results(h)
		return err
	})
	return r, err
}

// contentsOf reads a space of which the objects that are registers are given.
func contentsOf(s object.Space, registers iter.Seq2[object.Object, error]) (c contents, err error) {
	for _, set := range []struct {
		all iter.Seq2[string, error]
		out *[]string
	}{
		{grown.All(s), &c.grown},
		{twoPhase.All(s), &c.twoPhase},
		{addWins.All(s), &c.addWins},
		{removeWins.All(s), &c.removeWins},
	} {
		if *set.out, err = list(set.all); err != nil {
			return c, err
		}
	}
	if c.counter, err = readCounter(s); err != nil {
		return c, err
	}
	c.registers = make(map[string][]int)
	for o, err := range registers {
		if err != nil {
			return c, err
		}
		path := strings.TrimPrefix(o.Key, registerPrefix)
		if c.registers[path], err = register(path).Values(s); err != nil {
			return c, err
		}
	}
	return c, nil
}

func list(all iter.Seq2[string, error]) (elements []string, err error) {
	for v, err := range all {
		if err != nil {
			return nil, err
		}
		elements = append(elements, v)
	}
	return elements, nil
}

func readCounter(s object.Space) (c Counter, err error) {
	if c.Increments, err = increments.Value(s); err != nil {
		return c, err
	}
	if c.Decrements, err = decrements.Value(s); err != nil {
		return c, err
	}
	c.Value, err = value.Value(s)
	return c, err
}

// results counts and hashes the contents.
func (c contents) results(h *History) *Results {
	return &Results{
		Events: len(h.Events), Replicas: h.Replicas, Paths: h.Paths, Changes: h.Changes,
		GSet: countSet(c.grown), TwoPhase: countSet(c.twoPhase), AddWins: countSet(c.addWins), RemoveWin: countSet(c.removeWins),
		Counter: c.counter, Registers: countRegisters(c.registers),
	}
}

func countSet(paths []string) Set {
	slices.Sort(paths)
	return Set{len(paths), hash(paths)}
}

func countRegisters(registers map[string][]int) Registers {
	r := Registers{Present: len(registers), ValuesPerKey: make(map[string]int)}
	var lines []string
	for path, ids := range registers {
		slices.Sort(ids)
		r.ValuesPerKey[strconv.Itoa(len(ids))]++
		lines = append(lines, path+" "+join(ids))
	}
	slices.Sort(lines)
	r.SHA256 = hash(lines)
	return r
}

func join(ids []int) string {
	s := make([]string, len(ids))
	for i, id := range ids {
		s[i] = strconv.Itoa(id)
	}
	return strings.Join(s, ",")
}

func hash(lines []string) string {
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}

// Write prints the results as indented JSON.
func (r *Results) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// ErrDiffers: the results are not the expected ones.
var ErrDiffers = errors.New("replay: the results differ from the expected ones")

// Compare returns an error that is [ErrDiffers] and lists every figure in which
// r differs from the results in the file. Figures that a replay does not
// produce are ignored.
func (r *Results) Compare(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	want, err := flatten(b)
	if err != nil {
		return fmt.Errorf("replay: %s is not JSON of results: %w", path, err)
	}
	mine, err := json.Marshal(r)
	if err != nil {
		return err
	}
	got, err := flatten(mine)
	if err != nil {
		return err
	}
	return difference(got, want)
}

// equal returns an error that is [ErrDiffers] unless both are the same.
func (r *Results) equal(want *Results) error {
	a, err := json.Marshal(r)
	if err != nil {
		return err
	}
	b, err := json.Marshal(want)
	if err != nil {
		return err
	}
	got, err := flatten(a)
	if err != nil {
		return err
	}
	expected, err := flatten(b)
	if err != nil {
		return err
	}
	return difference(got, expected)
}

// flatten turns nested JSON objects into a map from dotted names to values.
func flatten(b []byte) (map[string]string, error) {
	var tree map[string]any
	if err := json.Unmarshal(b, &tree); err != nil {
		return nil, err
	}
	flat := make(map[string]string)
	var walk func(prefix string, tree map[string]any)
	walk = func(prefix string, tree map[string]any) {
		for k, v := range tree {
			if sub, ok := v.(map[string]any); ok {
				walk(prefix+k+".", sub)
				continue
			}
			text, _ := json.Marshal(v)
			flat[prefix+k] = string(text)
		}
	}
	walk("", tree)
	return flat, nil
}

// notProduced is a figure about the history itself, not about a type.
const notProduced = "concurrent_add_remove_pairs"

func difference(got, want map[string]string) error {
	var lines []string
	for name, w := range want {
		if g, ok := got[name]; name != notProduced && g != w {
			if !ok {
				g = "nothing"
			}
			lines = append(lines, fmt.Sprintf("  %-32s expected %s, got %s", name, w, g))
		}
	}
	for name, g := range got {
		if _, ok := want[name]; !ok {
			lines = append(lines, fmt.Sprintf("  %-32s expected nothing, got %s", name, g))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	slices.Sort(lines)
	return fmt.Errorf("%w:\n%s", ErrDiffers, strings.Join(lines, "\n"))
}
