package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"go.etcd.io/bbolt"
)

// openStore is the store.
func openStore(dir string) (writeFunc, func() error, error) {
	s, err := boltstore.Open(dir, boltstore.Options{})
	if err != nil {
		return nil, nil, err
	}
	ctx := context.Background()
	return func(key, value []byte) error {
		return s.Update(ctx, func(tx store.Tx) error { return tx.Put("space", store.Cells, key, value) })
	}, s.Close, nil
}

var bucketName = []byte("space")

// openBolt opens a bbolt file with one bucket, set up as the store's.
func openBolt(dir string) (*bbolt.DB, error) {
	db, err := bbolt.Open(filepath.Join(dir, "raw.db"), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, InitialMmapSize: 1 << 30})
	if err != nil {
		return nil, err
	}
	return db, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket(bucketName)
		return err
	})
}

// openBatch is bbolt with its own way to gather writers.
func openBatch(dir string) (writeFunc, func() error, error) {
	db, err := openBolt(dir)
	if err != nil {
		return nil, nil, err
	}
	return func(key, value []byte) error {
		return db.Batch(func(tx *bbolt.Tx) error { return tx.Bucket(bucketName).Put(key, value) })
	}, db.Close, nil
}

// openGathered is bbolt behind a loop that commits what has come while the last
// commit ran.
func openGathered(dir string) (writeFunc, func() error, error) {
	db, err := openBolt(dir)
	if err != nil {
		return nil, nil, err
	}
	write, stop := gather(func(batch []request) error {
		return db.Update(func(tx *bbolt.Tx) error {
			for _, r := range batch {
				if err := tx.Bucket(bucketName).Put(r.key, slices.Clone(r.value)); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return write, func() error { stop(); return db.Close() }, nil
}

// openAppend is a file that grows, behind the same loop: what no store that
// can be read by key does better.
func openAppend(dir string) (writeFunc, func() error, error) {
	f, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, nil, err
	}
	var buf []byte
	write, stop := gather(func(batch []request) error {
		buf = buf[:0]
		for _, r := range batch {
			buf = append(append(buf, r.key...), r.value...)
		}
		_, err := f.Write(buf)
		return errors.Join(err, f.Sync())
	})
	return write, func() error { stop(); return f.Close() }, nil
}

// A request is a record that waits for its flush.
type request struct {
	key, value []byte
	done       chan error
}

// gather runs flush with all requests that have come while the last one ran.
func gather(flush func([]request) error) (write writeFunc, stop func()) {
	requests := make(chan request, 4096)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for r := range requests {
			batch := []request{r}
			for range len(requests) {
				batch = append(batch, <-requests)
			}
			err := flush(batch)
			for _, r := range batch {
				r.done <- err
			}
		}
	}()
	write = func(key, value []byte) error {
		r := request{key, value, make(chan error, 1)}
		requests <- r
		return <-r.done
	}
	return write, func() {
		close(requests)
		<-stopped
	}
}
