package node_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// TestReopenedNodeIsTheSameNode runs one random workload on a node that stays
// open and on one that is reopened after every step: each change they make,
// with its number, time, hash chain and dependencies, is the same byte for byte.
func TestReopenedNodeIsTheSameNode(t *testing.T) {
	for seed := range uint64(8) {
		disk := new(memstore.Disk)
		clock := time.UnixMilli(1_000_000)
		config := func(s store.Store) node.Config {
			return node.Config{Store: s, NewOrigin: origin(1), Now: func() time.Time { return clock }}
		}
		stays, moves := openConfig(t, config(memstore.New())), openConfig(t, config(on(t, disk)))
		peers := []*node.Node{
			openConfig(t, node.Config{Store: memstore.New(), NewOrigin: origin(2), Now: func() time.Time { return clock }}),
			openConfig(t, node.Config{Store: memstore.New(), NewOrigin: origin(3), Now: func() time.Time { return clock }}),
		}
		rng := rand.New(rand.NewPCG(seed, 0))
		for step := range 40 {
			clock = clock.Add(time.Duration(rng.IntN(7)-3) * time.Second)
			space := fmt.Sprint("s", rng.IntN(2))
			write := func(tx *node.Tx) error {
				return errors.Join(ids.Add(tx, step), likes.Add(tx, 1), title.Set(tx, fmt.Sprint(step)))
			}
			switch peer := peers[rng.IntN(2)]; rng.IntN(4) {
			case 0, 1:
				mustUpdate(t, stays.Space(space), write)
				mustUpdate(t, moves.Space(space), write)
			case 2:
				mustUpdate(t, peer.Space(space), write)
			case 3:
				file := export(t, peer.Space(space), node.Cut{})
				mustImport(t, stays, file)
				mustImport(t, moves, file)
				mustImport(t, peer, export(t, stays.Space(space), node.Cut{}))
			}
			moves.Close()
			moves = openConfig(t, config(on(t, disk)))
			for _, name := range stays.Spaces() {
				if a, b := stays.Space(name).Summary(), moves.Space(name).Summary(); a != b {
					t.Fatalf("seed %d, step %d: %q is %+v, after reopening %+v", seed, step, name, a, b)
				}
				if !bytes.Equal(export(t, stays.Space(name), node.Cut{}), export(t, moves.Space(name), node.Cut{})) {
					t.Fatalf("seed %d, step %d: the changes of %q differ after reopening", seed, step, name)
				}
				checkSound(t, moves, name)
			}
		}
	}
}

func mustImport(t testing.TB, n *node.Node, file []byte) {
	t.Helper()
	if report, err := n.Import(t.Context(), bytes.NewReader(file)); err != nil || report.Refused > 0 {
		t.Fatalf("Import = %+v, %v", report, err)
	}
}

// TestClockNeverRepeats sets the wall clock back, while the node runs and
// between two runs, by less and by more than the drift that is allowed.
func TestClockNeverRepeats(t *testing.T) {
	disk := new(memstore.Disk)
	wall := time.UnixMilli(5_000_000_000)
	var last hlc.Timestamp
	for _, back := range []time.Duration{0, time.Millisecond, 30 * time.Second, time.Hour, 24 * time.Hour} {
		wall = wall.Add(-back)
		n := openConfig(t, node.Config{Store: on(t, disk), Now: func() time.Time { return wall }})
		for _, again := range []time.Duration{0, time.Second, time.Hour} {
			wall = wall.Add(-again)
			for i := range 3 {
				value := fmt.Sprint(back, again, i)
				mustUpdate(t, n.Space("s"), func(tx *node.Tx) error {
					if tx.Time() <= last {
						t.Errorf("set back %v: stamp %v after %v", back+again, tx.Time(), last)
					}
					last = tx.Time()
					return title.Set(tx, value)
				})
				mustView(t, n.Space("s"), func(v *node.View) error {
					if got, _, err := title.Get(v); got != value || err != nil {
						t.Errorf("set back %v: title = %q, %v; want the latest, %q", back+again, got, err, value)
					}
					return nil
				})
			}
		}
		n.Close()
	}
}

// TestWriteAfterReleasedChanges lets one import release changes that waited,
// stamped ahead of the local clock: what is written next is after them, be it in
// the same commit.
func TestWriteAfterReleasedChanges(t *testing.T) {
	for _, together := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			at := func(ms int64) *node.Node {
				return openConfig(t, node.Config{Store: memstore.New(), Now: func() time.Time { return time.UnixMilli(ms) }})
			}
			ahead, n := at(50_000), at(10_000)
			s := ahead.Space("s")
			mustUpdate(t, s, add(1))
			first := s.Vector()
			mustUpdate(t, s, func(tx *node.Tx) error { return title.Set(tx, "theirs") })
			if _, err := n.Import(t.Context(), bytes.NewReader(export(t, s, node.Cut{Since: first}))); !errors.Is(err, node.ErrIncomplete) {
				t.Fatalf("Import = %v, want ErrIncomplete", err)
			}
			var wg sync.WaitGroup
			release := occupy(t, n)
			wg.Go(func() { mustImport(t, n, export(t, s, node.Cut{Until: first})) })
			synctest.Wait()
			if !together {
				release()
				wg.Wait()
			}
			write := func(space string) {
				mustUpdate(t, n.Space(space), func(tx *node.Tx) error {
					if last := s.Summary().LastTime; tx.Time() <= last {
						t.Errorf("together %v, in %q: stamp %v, not after %v, which is applied", together, space, tx.Time(), last)
					}
					return title.Set(tx, "mine")
				})
			}
			if !together {
				write("other")
			}
			wg.Go(func() { write("s") })
			synctest.Wait()
			release()
			wg.Wait()
			mustView(t, n.Space("s"), func(v *node.View) error {
				if got, _, err := title.Get(v); got != "mine" || err != nil {
					t.Errorf("title = %q, %v; want what was written last", got, err)
				}
				return nil
			})
			mustImport(t, ahead, export(t, n.Space("s"), node.Cut{}))
			checkEqual(t, "s", ahead, n)
		})
	}
}

func TestOpenRefusesUnusableConfigurations(t *testing.T) {
	for name, cfg := range map[string]node.Config{
		"Store":      {},
		"Heartbeat":  {Store: memstore.New(), Heartbeat: -1},
		"MaxBackoff": {Store: memstore.New(), MaxBackoff: -time.Second},
		"MaxDrift":   {Store: memstore.New(), MaxDrift: -time.Second},
	} {
		n, err := node.Open(t.Context(), cfg)
		if e, ok := errors.AsType[*node.ConfigError](err); !ok || e.Field != name || !errors.Is(err, node.ErrConfig) {
			t.Errorf("Open with a bad %s = %v, %v; want a ConfigError", name, n, err)
		}
	}
}

// TestFailedOpenLeavesTheStoreToTheCaller opens on stores with every kind of
// damage: the error says where, and the store is still open.
func TestFailedOpenLeavesTheStoreToTheCaller(t *testing.T) {
	for name, damage := range map[string]func(tx store.Tx) error{
		"origin":      func(tx store.Tx) error { return tx.Put("", store.Meta, []byte("origin"), []byte("short")) },
		"summary":     func(tx store.Tx) error { return tx.Put("s", store.Meta, []byte("summary"), []byte{9}) },
		"head":        func(tx store.Tx) error { return tx.Put("s", store.Vector, make([]byte, 16), []byte{1}) },
		"head's name": func(tx store.Tx) error { return tx.Put("s", store.Vector, []byte("x"), []byte{1}) },
	} {
		disk := new(memstore.Disk)
		n := openOn(t, disk)
		mustUpdate(t, n.Space("s"), add(1))
		n.Close()
		s := on(t, disk)
		if err := s.Update(t.Context(), damage); err != nil {
			t.Fatal(err)
		}
		_, err := node.Open(t.Context(), node.Config{Store: s})
		if _, ok := errors.AsType[*store.CorruptError](err); !ok {
			t.Errorf("Open with a damaged %s = %v, want a CorruptError", name, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close of the store = %v", err)
		}
	}
	m := meddle(memstore.New())
	m.set(hooks{commit: always(errDisk)})
	if _, err := node.Open(t.Context(), node.Config{Store: m}); !errors.Is(err, errDisk) {
		t.Errorf("Open on a store that takes no origin = %v, want its error", err)
	}
}
