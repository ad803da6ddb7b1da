package boltstore

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"

	"github.com/joinery-crdt/joinery/store"
	"go.etcd.io/bbolt"
)

// placeKey is the key, in formatBucket, of where the file lay when it was last
// opened: JSON and its CRC-32C.
var placeKey = []byte("place")

// A whereabouts is the name of a place and how to tell that a file is there. A
// copy of the file is somewhere else; a file that was moved is not.
type whereabouts struct {
	Place  string `json:"place"`
	Path   string `json:"path"`
	Device uint64 `json:"device"`
	File   uint64 `json:"file"` // inode, 0 where files have none
	Born   int64  `json:"born"` // when the file was made, in Unix nanoseconds, 0 where nobody knows
}

// find returns where a file is, without a name for the place.
func find(path string) (w whereabouts, err error) {
	if w.Path, err = filepath.Abs(path); err != nil {
		return w, err
	}
	return w, w.identify(path)
}

// same reports whether a file that was at w and is at now has not been copied:
// it is the same file, moved within a device, or seen under another number of
// the device after a restart of the machine.
func (w whereabouts) same(now whereabouts) bool {
	told := w.File != 0 || w.Born != 0
	return w.File == now.File && w.Born == now.Born && (w.Path == now.Path || told && w.Device == now.Device)
}

// Place implements [store.Placed]. A restored backup and a copied directory are
// at a new place when they are opened to be written; a directory that was
// renamed, and a file after [Compact], are where they were. What is not noticed
// is a whole disk that was copied or set back, and a file that was written over
// in place.
func (s *Store) Place() string { return s.place }

var _ store.Placed = (*Store)(nil)

// settle names the place of the file, and remembers it.
func (s *Store) settle() error {
	now, err := find(filepath.Join(s.path, fileName))
	if err != nil {
		return wrap("place", err)
	}
	last, err := s.lastPlace()
	if err != nil {
		return err
	}
	if now.Place = last.Place; last.Place == "" || !last.same(now) {
		now.Place = rand.Text()
	}
	if s.place = now.Place; now == last || s.readOnly {
		return nil
	}
	id, err := writePlace(s.db, now)
	s.durable.Store(id)
	return wrap("place", err)
}

// lastPlace returns where the file was when it was last opened to be written.
func (s *Store) lastPlace() (w whereabouts, err error) {
	defer guard(nil, &err)
	err = s.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(formatBucket).Get(placeKey)
		if v == nil {
			return nil // written by an older program
		}
		text, sum := v[:max(0, len(v)-4)], v[max(0, len(v)-4):]
		if len(sum) != 4 || binary.BigEndian.Uint32(sum) != crc32.Checksum(text, castagnoli) {
			return corrupt(nil, fmt.Errorf("place record: %w", errChecksum))
		}
		if err := json.Unmarshal(text, &w); err != nil {
			return corrupt(nil, fmt.Errorf("place record: %w", err))
		}
		return nil
	})
	return w, err
}

// writePlace returns the number of the transaction in which it did.
func writePlace(db *bbolt.DB, w whereabouts) (id int64, err error) {
	defer guard(nil, &err)
	text, err := json.Marshal(w)
	if err != nil {
		return 0, err
	}
	v := binary.BigEndian.AppendUint32(bytes.Clone(text), crc32.Checksum(text, castagnoli))
	err = db.Update(func(tx *bbolt.Tx) error {
		id = int64(tx.ID())
		return tx.Bucket(formatBucket).Put(placeKey, v)
	})
	return id, err
}

// movePlace says in a copy of the store, which is to take the file's name, that
// it is where the file was.
func (s *Store) movePlace(file string) error {
	w, err := find(file)
	if err != nil {
		return err
	}
	if w.Path, err = filepath.Abs(filepath.Join(s.path, fileName)); err != nil {
		return err
	}
	w.Place = s.place
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		return err
	}
	_, err = writePlace(db, w)
	return errors.Join(err, db.Close())
}
