package boltstore

import (
	"errors"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// compactBytes is about how much Compact copies in one transaction.
const compactBytes = 1 << 20

// Compact rewrites the store in the directory path without its free pages, so
// that the file shrinks. No process may have the store open: it returns the
// errors of [Open]. When it returns an error, or is interrupted, the store is
// what it was.
func Compact(path string, opts Options) error {
	opts.ReadOnly = false
	s, err := attach(path, opts)
	if err != nil {
		return err
	}
	return errors.Join(wrap("compact", s.compact()), s.release())
}

// A file is wasteful when so many bytes of it can be reused, and three times
// what cannot: copying the rest is the smaller part.
const wasteBytes = 16 << 20

// wasteful reports whether Open should compact the file.
func (s *Store) wasteful() bool {
	st := s.Stats()
	return !s.readOnly && st.FreeBytes >= wasteBytes && st.FreeBytes/3 >= st.FileBytes-st.FreeBytes
}

// shrink compacts the file and attaches to the new one. Where that does not go,
// the old one is as good.
func (s *Store) shrink(opts Options) (*Store, error) {
	st := s.Stats()
	if s.room(st.FileBytes-st.FreeBytes) != nil {
		return s, nil
	}
	_ = s.compact() // whichever file it leaves under the name holds all records
	if err := s.release(); err != nil {
		return nil, err
	}
	return attach(s.path, opts)
}

// compact copies the file and gives the copy its name.
func (s *Store) compact() error {
	f, err := os.CreateTemp(s.path, newPattern)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	file := filepath.Join(s.path, fileName)
	if err := errors.Join(f.Close(), copyRecords(f.Name(), s.db), s.movePlace(f.Name())); err != nil {
		return err
	}
	return errors.Join(os.Rename(f.Name(), file), syncDir(s.path))
}

// copyRecords writes all that src holds to a new file.
func copyRecords(file string, src *bbolt.DB) (err error) {
	defer guard(nil, &err)
	dst, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		return err
	}
	return errors.Join(bbolt.Compact(dst, src, compactBytes), dst.Close())
}
