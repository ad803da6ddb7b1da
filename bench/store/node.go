package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
	"go.etcd.io/bbolt"
)

// openNode is a node whose application sets a register for each record.
func openNode(dir string) (writeFunc, func() error, error) {
	s, err := boltstore.Open(dir, boltstore.Options{})
	if err != nil {
		return nil, nil, err
	}
	return overStore(s)
}

func overStore(s store.Store) (writeFunc, func() error, error) {
	ctx := context.Background()
	n, err := node.Open(ctx, node.Config{Store: s})
	if err != nil {
		return nil, nil, err
	}
	space := n.Space("space")
	return func(key, value []byte) error {
		ref := node.LWW[[]byte](hex.EncodeToString(key[:8]))
		return space.Update(ctx, func(tx *node.Tx) error { return ref.Set(tx, value) })
	}, n.Close, nil
}

// changeRecords returns the records that a node writes for a change, by table.
func changeRecords() (map[store.Table]store.Record, error) {
	s := memstore.New()
	write, closeAll, err := overStore(s)
	if err != nil {
		return nil, err
	}
	if err := write(make([]byte, 16), make([]byte, 84)); err != nil {
		return nil, err
	}
	found := map[store.Table]store.Record{}
	err = s.View(context.Background(), func(r store.Reader) error {
		for t := store.Cells; t <= store.Quarantine; t++ {
			for rec, err := range r.Scan("space", t, store.Range{}) {
				if err != nil {
					return err
				}
				found[t] = store.Record{Key: bytes.Clone(rec.Key), Value: bytes.Clone(rec.Value)}
			}
		}
		return nil
	})
	if err == nil {
		err = closeAll()
	}
	return found, err
}

// openGatheredNode is bbolt behind a loop that writes what a node writes: for
// each record those of the tables that have one for each change, at random and
// ascending keys, and once in a commit those of the others.
func openGatheredNode(dir string) (writeFunc, func() error, error) {
	records, err := changeRecords()
	if err != nil {
		return nil, nil, err
	}
	db, err := openBolt(dir)
	if err != nil {
		return nil, nil, err
	}
	var seq atomic.Uint64
	write, stop := gather(func(batch []request) error {
		return db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(bucketName)
			for t, rec := range records {
				n := len(batch)
				if t == store.Vector || t == store.Meta {
					n = 1
				}
				for _, r := range batch[:n] {
					if err := b.Put(rawKey(t, rec.Key, r.key, &seq), bytes.Clone(rec.Value)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
	return write, func() error { stop(); return db.Close() }, nil
}

// rawKey returns a key as long as a node's, and as random.
func rawKey(t store.Table, like, key []byte, seq *atomic.Uint64) []byte {
	k := append([]byte{byte(t)}, like...)
	switch t {
	case store.Cells:
		copy(k[1:], key)
	case store.Vector, store.Meta:
	default: // in the order of changes
		binary.BigEndian.PutUint64(k[len(k)-8:], seq.Add(1))
	}
	return k
}
