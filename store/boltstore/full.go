package boltstore

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"syscall"

	"github.com/joinery-crdt/joinery/store"
)

// defaultMinFree is Options.MinFree for 0: about one commit of the largest size.
const defaultMinFree = 16 << 20

// room returns a [*store.FullError] unless the disk has room for so many bytes
// and for what is to stay free. A system that does not say is taken at its
// write errors.
func (s *Store) room(bytes int64) error {
	if s.minFree < 0 {
		return nil
	}
	need := s.minFree + bytes
	if free, err := s.diskFree(s.path); err == nil && free < need {
		return &store.FullError{Path: s.path, Free: free, Need: need}
	}
	return nil
}

// rejected returns a [*store.FullError] if err, the error of the commit of a
// bbolt transaction, is that of a full disk and nothing of it was committed:
// no header names the transaction.
func (s *Store) rejected(err error, id uint64) error {
	if !isFull(err) {
		return nil
	}
	for page := range int64(2) {
		if h, err := readHeader(s.file, page*s.pageSize); err != nil || h.transaction >= id {
			return nil
		}
	}
	free, errFree := s.diskFree(s.path)
	if errFree != nil {
		free = -1
	}
	return &store.FullError{Path: s.path, Free: free, Need: max(s.minFree, 0), Err: err}
}

// isFull reports whether err is that of a write for which there is no room.
// bbolt keeps only the text of an error from making the file longer.
func isFull(err error) bool {
	return slices.ContainsFunc(fullErrors, func(full syscall.Errno) bool {
		return errors.Is(err, full) || strings.HasPrefix(err.Error(), "file resize error") && strings.Contains(err.Error(), full.Error())
	})
}

// minFree returns the bytes that are to stay free.
func minFree(opts Options) int64 { return cmp.Or(opts.MinFree, defaultMinFree) }
