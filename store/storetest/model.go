package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/store"
)

// A model is what a store should hold: records by "space/table" and key.
type model map[string]map[string]string

// modelSeeds are the runs of followsModel.
var modelSeeds = []uint64{1, 2, 3}

// followsModel runs seeded operations against the store and a model.
func followsModel(s *subject) error {
	m := model{}
	for _, seed := range modelSeeds {
		rng := rand.New(rand.NewPCG(seed, 0))
		for step := range 40 {
			if err := modelStep(s, m, rng); err != nil {
				return fmt.Errorf("seed %d, step %d: %w", seed, step, err)
			}
		}
	}
	return nil
}

// modelStep runs one Update, checks a table, and reopens now and then.
func modelStep(s *subject, m model, rng *rand.Rand) error {
	next := m.clone()
	keep := rng.IntN(4) > 0
	err := s.update(func(tx store.Tx) error {
		for range rng.IntN(12) {
			if err := modelOp(tx, next, rng); err != nil {
				return err
			}
		}
		if !keep {
			return errPlanted
		}
		return nil
	})
	switch {
	case keep && err != nil:
		return err
	case keep:
		maps.Copy(m, next)
	default:
		if err := wantError("Update", err, errPlanted); err != nil {
			return err
		}
	}
	if rng.IntN(20) == 0 {
		if err := s.reopen(); err != nil {
			return err
		}
	}
	return s.view(func(r store.Reader) error { return m.wantAll(r) })
}

// modelOp runs one operation of a transaction on both sides.
func modelOp(tx store.Tx, m model, rng *rand.Rand) error {
	space, t, key := modelPlace(rng)
	table := m.table(space, t)
	switch rng.IntN(6) {
	case 0, 1, 2:
		value := strings.Repeat(string(rune('a'+rng.IntN(26))), rng.IntN(200))
		table[key] = value
		return tx.Put(space, t, []byte(key), []byte(value))
	case 3:
		delete(table, key)
		return tx.Delete(space, t, []byte(key))
	case 4:
		if value, ok := table[key]; ok {
			return wantIn(tx, space, t, key, value)
		}
		return wantAbsentIn(tx, space, t, key)
	}
	rg := store.Range{Prefix: []byte(key[:len(key)/2])}
	if rng.IntN(2) == 0 {
		rg.After = []byte(key)
	}
	return wantKeys(tx, space, t, rg, selected(slices.Sorted(maps.Keys(table)), rg)...)
}

// modelPlace draws a space, a table and a key from few enough to meet again.
func modelPlace(rng *rand.Rand) (string, store.Table, string) {
	key := make([]byte, rng.IntN(4))
	for i := range key {
		key[i] = "\x00a\xff"[rng.IntN(3)]
	}
	return []string{"", "a", "a\x00", "b"}[rng.IntN(4)], store.Table(1 + rng.IntN(2)), string(key)
}

// table returns the model's records of one table.
func (m model) table(space string, t store.Table) map[string]string {
	name := fmt.Sprintf("%s/%d", space, t)
	if m[name] == nil {
		m[name] = map[string]string{}
	}
	return m[name]
}

func (m model) clone() model {
	out := model{}
	for name, table := range m {
		out[name] = maps.Clone(table)
	}
	return out
}

// wantAll demands exactly the model's records.
func (m model) wantAll(r store.Reader) error {
	used := map[string]bool{}
	for _, space := range []string{"", "a", "a\x00", "b"} {
		for t := store.Table(1); t <= 2; t++ {
			want := m.table(space, t)
			err := wantKeys(r, space, t, store.Range{}, slices.Sorted(maps.Keys(want))...)
			for key, value := range want {
				err = first(err, wantIn(r, space, t, key, value))
				used[space] = true
			}
			if err != nil {
				return err
			}
		}
	}
	delete(used, "")
	return wantSpaces(r, slices.Sorted(maps.Keys(used))...)
}
