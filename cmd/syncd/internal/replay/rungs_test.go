package replay_test

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/replay"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
)

// log returns a store with log records of one origin, by number.
func log(t *testing.T, records map[uint64]string) store.Store {
	t.Helper()
	st := memstore.New()
	err := st.Update(t.Context(), func(tx store.Tx) error {
		for seq, value := range records {
			key := binary.BigEndian.AppendUint64(append([]byte(nil), make([]byte, 16)...), seq)
			if err := tx.Put(replay.SpaceName, store.Log, key, []byte(value)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// TestSameLog compares logs of which one may be truncated.
func TestSameLog(t *testing.T) {
	whole := log(t, map[uint64]string{1: "a", 2: "b", 3: "c"})
	floor := merge.VectorOf(merge.Dot{Seq: 2})
	for name, tc := range map[string]struct {
		log  map[uint64]string
		same uint64
		want string // part of the error, empty for none
	}{
		"whole":                  {map[uint64]string{1: "a", 2: "b", 3: "c"}, 3, ""},
		"truncated":              {map[uint64]string{3: "c"}, 1, ""},
		"truncated in part":      {map[uint64]string{1: "a", 3: "c"}, 2, ""},
		"more than was let go":   {map[uint64]string{1: "a", 2: "b"}, 2, "lacks"},
		"nothing":                {nil, 0, "lacks"},
		"another change":         {map[uint64]string{3: "x"}, 0, "belongs"},
		"another that may be no": {map[uint64]string{1: "x", 3: "c"}, 0, "belongs"},
		"one too many":           {map[uint64]string{1: "a", 2: "b", 3: "c", 4: "d"}, 3, "does not belong"},
	} {
		same, err := replay.SameTable(context.Background(), log(t, tc.log), whole, store.Log, floor)
		if same != tc.same || (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %d records are the same, %v; want %d and %q", name, same, err, tc.same, tc.want)
		}
	}
	if _, err := replay.SameTable(context.Background(), log(t, map[uint64]string{3: "c"}), whole, store.Log, nil); err == nil {
		t.Error("a log that has to be whole may be truncated")
	}
}
