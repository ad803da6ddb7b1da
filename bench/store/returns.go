package main

import (
	"context"
	"fmt"

	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// returns measures what the file of a space gives back that grew by many
// elements and lost them again: records of the store alone, and elements of a
// set at a node, whose log stays.
func returns() {
	fmt.Printf("\n%d elements added and removed, bytes of the file\n", *cells)
	fmt.Printf("%-18s %12s %12s %12s %12s %12s\n", "", "before", "all there", "all removed", "opened", "compacted")
	returnsIn("cells of a store", storeElements)
	returnsIn("set at a node", nodeElements)
}

// elements adds to a store, or takes away, the elements below n.
type elements func(s store.Store, n int, add bool) error

func returnsIn(name string, change elements) {
	dir, remove := tempDir()
	defer remove()
	fmt.Printf("%-18s", name)
	size := func() { fmt.Printf(" %12d", fileSize(dir)) }
	step := func(n int, add bool) {
		s, err := boltstore.Open(dir, boltstore.Options{})
		check(err)
		check(change(s, n, add))
		size()
	}
	step(together, true)
	step(*cells, true)
	step(*cells, false)
	s, err := boltstore.Open(dir, boltstore.Options{})
	check(err)
	size()
	bytes := tableBytes(s)
	check(s.Close())
	check(boltstore.Compact(dir, boltstore.Options{}))
	size()
	fmt.Printf("\n%-18s bytes of records left: cells %d, log %d, other %d\n", "", bytes[store.Cells], bytes[store.Log], bytes[0])
}

// storeElements is cells put and deleted, and one that stays.
func storeElements(s store.Store, n int, add bool) error {
	err := eachGroup(s, n, func(tx store.Tx, i uint64) error {
		if add {
			return tx.Put("space", store.Cells, cellKey(i), make([]byte, 84))
		}
		if i == 0 {
			return nil
		}
		return tx.Delete("space", store.Cells, cellKey(i))
	})
	if err != nil {
		return err
	}
	return s.Close()
}

// nodeElements is elements of a set, together in a change.
func nodeElements(s store.Store, n int, add bool) error {
	ctx := context.Background()
	device, err := node.Open(ctx, node.Config{Store: s})
	if err != nil {
		return err
	}
	set := node.ORSet[int]("elements")
	for first := 0; first < n; first += together {
		err := device.Space("space").Update(ctx, func(tx *node.Tx) error {
			for i := first; i < min(first+together, n); i++ {
				if err := addOrRemove(tx, set, i, add); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return device.Close()
}

func addOrRemove(tx *node.Tx, set object.ORSet[int], i int, add bool) error {
	if add {
		return set.Add(tx, i)
	}
	return set.Remove(tx, i)
}

// tableBytes returns the bytes of a space's records, by table; what is neither
// cells nor log counts for table 0.
func tableBytes(s store.Store) map[store.Table]int {
	n := map[store.Table]int{}
	check(s.View(context.Background(), func(r store.Reader) error {
		for t := store.Cells; t <= store.Quarantine; t++ {
			as := t
			if t > store.Log {
				as = 0
			}
			for rec, err := range r.Scan("space", t, store.Range{}) {
				if err != nil {
					return err
				}
				n[as] += len(rec.Key) + len(rec.Value)
			}
		}
		return nil
	}))
	return n
}
