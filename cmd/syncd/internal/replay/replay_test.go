package replay_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/replay"
)

// randomHistory returns a history of replicas that now and then merge with each
// other. Their clocks disagree.
func randomHistory(t *testing.T, r *rand.Rand, replicas, events int) *replay.History {
	t.Helper()
	var lines strings.Builder
	last := make([]int, 0, replicas) // by replica, its last event
	for id := range events {
		who := r.IntN(min(replicas, len(last)+1))
		var parents []int
		if who < len(last) {
			parents = append(parents, last[who])
		} else {
			last = append(last, 0)
		}
		if other := r.IntN(len(last)); other != who && r.IntN(2) == 0 {
			parents = append(parents, last[other])
		}
		last[who] = id
		e := map[string]any{"id": id, "parents": parents, "replica": who, "time": 1000 + r.IntN(100), "changes": randomChanges(r)}
		if parents == nil {
			e["parents"] = []int{}
		}
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(b, '\n'))
	}
	h, err := replay.Read(strings.NewReader(lines.String()))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func randomChanges(r *rand.Rand) [][2]string {
	changes := [][2]string{}
	for path := range 6 {
		switch r.IntN(6) {
		case 0:
			changes = append(changes, [2]string{"A", strconv.Itoa(path)})
		case 1:
			changes = append(changes, [2]string{"D", strconv.Itoa(path)})
		}
	}
	return changes
}

// touch is one change of a path in a history.
type touch struct {
	event   int
	deletes bool
}

// specify computes the results from happened-before alone.
func specify(h *replay.History) *replay.Results {
	sees := make([]map[int]bool, len(h.Events)) // by event: its ancestors
	touches := make(map[string][]touch)
	r := &replay.Results{Events: len(h.Events), Replicas: h.Replicas, Paths: h.Paths, Changes: h.Changes}
	for i, e := range h.Events {
		sees[i] = make(map[int]bool)
		for _, p := range e.Parents {
			sees[i][p] = true
			for a := range sees[p] {
				sees[i][a] = true
			}
		}
		for _, c := range e.Changes {
			touches[c.Path()] = append(touches[c.Path()], touch{i, c.Deletes()})
			if c.Deletes() {
				r.Counter.Decrements++
			} else {
				r.Counter.Increments++
			}
		}
	}
	r.Counter.Value = r.Counter.Increments - r.Counter.Decrements
	specifySets(r, touches, sees)
	return r
}

func specifySets(r *replay.Results, touches map[string][]touch, sees []map[int]bool) {
	var grown, twoPhase, addWins, removeWins, registers []string
	r.Registers.ValuesPerKey = make(map[string]int)
	for path, all := range touches {
		seenBy := func(x touch, deletes bool) bool {
			return slices.ContainsFunc(all, func(y touch) bool { return y.deletes == deletes && sees[y.event][x.event] })
		}
		some := func(p func(touch) bool) bool { return slices.ContainsFunc(all, p) }
		if !some(func(x touch) bool { return !x.deletes }) {
			continue
		}
		grown = append(grown, path)
		if !some(func(x touch) bool { return !x.deletes && seenBy(x, true) }) {
			twoPhase = append(twoPhase, path)
		}
		if some(func(x touch) bool { return !x.deletes && !seenBy(x, true) }) {
			addWins = append(addWins, path)
		}
		if !some(func(x touch) bool { return x.deletes && !seenBy(x, false) }) {
			removeWins = append(removeWins, path)
		}
		var ids []string
		for _, x := range all {
			if !x.deletes && !seenBy(x, true) && !seenBy(x, false) {
				ids = append(ids, strconv.Itoa(x.event))
			}
		}
		if len(ids) > 0 {
			registers = append(registers, path+" "+strings.Join(ids, ","))
			r.Registers.ValuesPerKey[strconv.Itoa(len(ids))]++
		}
	}
	set := func(paths []string) replay.Set {
		slices.Sort(paths)
		return replay.Set{Count: len(paths), SHA256: replay.HashOf(paths)}
	}
	r.GSet, r.TwoPhase, r.AddWins, r.RemoveWin = set(grown), set(twoPhase), set(addWins), set(removeWins)
	all := set(registers)
	r.Registers.Present, r.Registers.SHA256 = all.Count, all.SHA256
}

// TestReplayMatchesSpecification replays random histories through real nodes,
// which begin with nothing or with copies, and computes the results anew.
func TestReplayMatchesSpecification(t *testing.T) {
	for seed := range uint64(12) {
		for _, fresh := range []bool{true, false} {
			t.Run(fmt.Sprintf("seed=%d,fresh=%v", seed, fresh), func(t *testing.T) {
				h := randomHistory(t, rand.New(rand.NewPCG(seed, 0)), 2+int(seed%5), 60)
				got, err := replay.ResultsOf(t.Context(), h, replay.Cast{Seed: seed, Fresh: fresh})
				if err != nil {
					t.Fatal(err)
				}
				if err := got.Equal(specify(h)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestFormsMatchSpecification does so in memory, in the other forms.
func TestFormsMatchSpecification(t *testing.T) {
	for _, form := range []string{replay.FormOp, replay.FormDelta} {
		for seed := range uint64(20) {
			t.Run(fmt.Sprintf("form=%s,seed=%d", form, seed), func(t *testing.T) {
				h := randomHistory(t, rand.New(rand.NewPCG(seed, 0)), 2+int(seed%5), 60)
				got, err := replay.ReplayForm(t.Context(), h, form, replay.Cast{Seed: seed, Fresh: seed%2 == 0})
				if err != nil {
					t.Fatal(err)
				}
				if err := got.Equal(specify(h)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestOptions refuses those that do not go together, before anything is read.
func TestOptions(t *testing.T) {
	for want, o := range map[string]replay.Options{
		"--daemons takes 0 or at least 2": {Form: replay.FormNode, Daemons: 1},
		"--form takes one of":             {Form: "state"},
		"--daemons takes --form node":     {Form: replay.FormOp, Daemons: 3},
		"--rungs takes --daemons 3":       {Form: replay.FormNode, Daemons: 2, Rungs: []string{"all"}},
		`some of push,cursor,vector`:      {Form: replay.FormNode, Daemons: 3, Rungs: []string{"push", "pull"}},
		"no such file":                    {Form: replay.FormOp, History: filepath.Join(t.TempDir(), "none")},
		`no form "state" in memory`:       {},
	} {
		err := replay.Run(t.Context(), o, io.Discard, io.Discard)
		if o.Form == "" {
			_, err = replay.ReplayForm(t.Context(), &replay.History{}, "state", replay.Cast{})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}

func TestCompareListsWhatDiffers(t *testing.T) {
	h := randomHistory(t, rand.New(rand.NewPCG(7, 7)), 3, 20)
	got := specify(h)
	file := filepath.Join(t.TempDir(), "expected.json")
	write := func(r *replay.Results) {
		b, err := json.Marshal(r)
		if err == nil {
			err = os.WriteFile(file, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(got)
	if err := got.Compare(file); err != nil {
		t.Errorf("Compare with itself = %v", err)
	}
	other := *got
	other.AddWins.Count++
	write(&other)
	err := got.Compare(file)
	want := fmt.Sprintf("add_wins_set.count               expected %d, got %d", other.AddWins.Count, got.AddWins.Count)
	if !errors.Is(err, replay.ErrDiffers) || !strings.Contains(err.Error(), want) {
		t.Errorf("Compare = %v, want a line %q", err, want)
	}
	if err := got.Compare(file + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Compare with no file = %v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	const first = `{"id":0,"parents":[],"replica":0,"time":1,"changes":[]}` + "\n"
	for name, text := range map[string]string{
		"nothing":          "",
		"no JSON":          "hello\n",
		"another field":    `{"id":0,"parents":[],"replica":0,"time":1,"changes":[],"x":1}`,
		"a gap":            first + `{"id":2,"parents":[0],"replica":0,"time":1,"changes":[]}`,
		"a later parent":   `{"id":0,"parents":[0],"replica":0,"time":1,"changes":[]}`,
		"a lone replica":   `{"id":0,"parents":[],"replica":5,"time":1,"changes":[]}`,
		"an unknown kind":  `{"id":0,"parents":[],"replica":0,"time":1,"changes":[["X","p"]]}`,
		"a path twice":     `{"id":0,"parents":[],"replica":0,"time":1,"changes":[["A","p"],["D","p"]]}`,
		"a negative one":   `{"id":0,"parents":[],"replica":-1,"time":1,"changes":[]}`,
		"truncated record": first + `{"id":1,"parents":[0],"repl`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := replay.Read(strings.NewReader(text))
			if e, ok := errors.AsType[*replay.HistoryError](err); !ok || !errors.Is(err, replay.ErrHistory) || e.Line < 1 {
				t.Errorf("Read = %v, want a HistoryError with its line", err)
			}
		})
	}
}
