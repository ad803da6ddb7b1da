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
	s, err := Open(path, opts)
	if err != nil {
		return err
	}
	return errors.Join(wrap("compact", s.compact()), s.Close())
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
