package boltstore

import (
	"reflect"
	"unsafe"
)

// HoldFlush makes the newest commit of s look as if its flush had not ended
// yet. release ends it with err.
func HoldFlush(s *Store) (release func(err error)) {
	id := s.durable.Load()
	g := &group{done: make(chan struct{})}
	s.flushing.Store(g)
	s.durable.Store(id - 1)
	return func(err error) {
		if g.err = err; err == nil {
			s.durable.Store(id)
		}
		close(g.done)
	}
}

// BreakFile makes every later write to the file of s an error.
func BreakFile(s *Store) error { return s.file.Close() }

// BucketName is the name of a space in the file.
var BucketName = bucketName

// FormatRecord is what the file holds as the format's version.
var FormatRecord = formatRecord

// A WriteFunc writes to the file.
type WriteFunc = func(b []byte, offset int64) (int, error)

// HookWrites gives all writes to the file of s to hook, which gets what writes
// otherwise. No Update may run. bbolt keeps a hook like this for its own tests.
func HookWrites(s *Store, hook func(write WriteFunc) WriteFunc) {
	field := reflect.ValueOf(s.db).Elem().FieldByName("ops").FieldByName("writeAt")
	write := (*WriteFunc)(unsafe.Pointer(field.UnsafeAddr()))
	*write = hook(*write)
}

// FileSize returns the length of the file of s.
func FileSize(s *Store) (int64, error) {
	info, err := s.file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Descriptor returns that of the file of s.
func Descriptor(s *Store) int { return int(s.file.Fd()) }

// NeverFlush makes s acknowledge what it has not flushed.
func NeverFlush(s *Store) { s.db.NoSync = true }

// SetDiskFree makes free the room that s believes the disk to have.
func SetDiskFree(s *Store, free func() int64) {
	s.diskFree = func(string) (int64, error) { return free(), nil }
}

// OnSyncDir calls fn before each flush of a directory, which fails with its
// error, until undo is called.
func OnSyncDir(fn func(path string) error) (undo func()) {
	syncDir = func(path string) error {
		if err := fn(path); err != nil {
			return err
		}
		return flushDir(path)
	}
	return func() { syncDir = flushDir }
}
