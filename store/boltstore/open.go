package boltstore

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/internal/turn"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	fileName   = "joinery.db"
	newPattern = fileName + ".new-*" // files on their way to that name
)

// Open opens the store in the directory path. Unless opts.ReadOnly is set, it
// creates the directory, for its owner only, and the store. A file of which
// most can be reused is compacted if there is room for that.
//
// Its errors: [*store.LockedError] if another process has the store open,
// [*store.ForeignError] if path holds something else or a newer format, and
// [*store.CorruptError] if the file is damaged.
func Open(path string, opts Options) (*Store, error) {
	s, err := attach(path, opts)
	if err == nil && s.wasteful() {
		s, err = s.shrink(opts)
	}
	if err != nil {
		return nil, err
	}
	if opts.ReadOnly {
		close(s.done)
	} else {
		go s.commitAll()
	}
	return s, nil
}

// attach is Open without a committer.
func attach(path string, opts Options) (*Store, error) {
	file := filepath.Join(path, fileName)
	if err := prepare(path, file, opts); err != nil {
		return nil, err
	}
	db, f, err := openFile(file, opts)
	if err != nil {
		return nil, describe(err, path, file)
	}
	s := &Store{
		path: path, readOnly: opts.ReadOnly, minFree: minFree(opts), diskFree: diskFree,
		pageSize: int64(db.Info().PageSize), db: db, file: f, queue: turn.NewQueue[group](), done: make(chan struct{}),
	}
	if err := s.adopt(); err != nil {
		return nil, errors.Join(err, wrap("close", db.Close()))
	}
	return s, nil
}

// adopt checks that the open file is a sound store and makes it durable: what
// a killed process wrote last may be in memory only.
func (s *Store) adopt() error {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	if err := checkHeader(s.file, s.pageSize); err != nil {
		return err
	}
	if err := s.syncAll(); err != nil {
		return wrap("sync", err)
	}
	err := s.db.View(func(tx *bbolt.Tx) error {
		s.durable.Store(int64(tx.ID()))
		return checkFormat(tx, s.path)
	})
	if err != nil {
		return err
	}
	if err := s.settle(); err != nil || s.readOnly {
		return err
	}
	return removeAll(filepath.Join(s.path, newPattern))
}

// syncAll makes the file and its name durable.
func (s *Store) syncAll() error {
	if err := s.file.Sync(); err != nil || s.readOnly {
		return err
	}
	return syncDir(s.path)
}

// removeAll removes the files that match pattern.
func removeAll(pattern string) error {
	names, err := filepath.Glob(pattern)
	for _, name := range names {
		if e := os.Remove(name); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, wrap("clean up", e))
		}
	}
	return err
}

// prepare makes sure that there is a file to open.
func prepare(path, file string, opts Options) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		return &store.ForeignError{Path: path, Have: "a file in the place of a directory", Kind: store.ErrForeign}
	}
	info, err = os.Stat(file)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return &store.ForeignError{Path: path, Have: "something else under the name " + fileName, Kind: store.ErrForeign}
	case errors.Is(err, fs.ErrNotExist) && !opts.ReadOnly:
		return create(path, file)
	}
	return wrap("open", err)
}

// create makes the directory and in it, in one step, an empty store. Another
// process may be about the same. The names of the directories are durable
// before the file gets its own; that one is when [Store.adopt] has ended.
func create(path, file string) error {
	if err := errors.Join(os.MkdirAll(path, 0o700), syncAbove(path)); err != nil {
		return wrap("create", err)
	}
	f, err := os.CreateTemp(path, newPattern)
	if err != nil {
		return wrap("create", err)
	}
	defer os.Remove(f.Name())
	err = errors.Join(f.Close(), initialise(f.Name()), place(f.Name(), file))
	return wrap("create", err)
}

// syncAbove makes the names of a directory and of those above it durable: any
// of them may be new. One that may not be read was there before.
func syncAbove(path string) error {
	path, err := filepath.Abs(path)
	for parent := filepath.Dir(path); err == nil && parent != path; parent = filepath.Dir(path) {
		if err = syncDir(parent); errors.Is(err, fs.ErrPermission) {
			return nil
		}
		path = parent
	}
	return err
}

// place gives the file its name unless there is one of that name.
func place(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	if _, e := os.Stat(to); e == nil {
		return nil
	}
	return os.Rename(from, to) // a file system without links
}

// syncDir makes the names in a directory durable. Tests look on.
var syncDir = flushDir

func flushDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be flushed there
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// openFile opens and locks the file. While it waits for the lock, another file
// may take that name (see [Compact]).
func openFile(file string, opts Options) (*bbolt.DB, *os.File, error) {
	for {
		db, f, err := lockFile(file, opts)
		if err != nil {
			return nil, nil, err
		}
		mine, errMine := f.Stat()
		named, errNamed := os.Stat(file)
		if err := errors.Join(errMine, errNamed); err != nil {
			return nil, nil, errors.Join(err, db.Close())
		}
		if os.SameFile(mine, named) {
			return db, f, nil
		}
		if err := db.Close(); err != nil {
			return nil, nil, err
		}
	}
}

// lockFile opens and locks the file that has the name now. bbolt panics on
// damaged ones, and leaves them mapped, which keeps them locked.
func lockFile(file string, opts Options) (db *bbolt.DB, f *os.File, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = errors.Join(corrupt(nil, fmt.Errorf("damaged page: %v", p)), unlock(f), f.Close())
		}
	}()
	db, err = bbolt.Open(file, 0o600, &bbolt.Options{
		Timeout:         cmp.Or(opts.Timeout, time.Second),
		ReadOnly:        opts.ReadOnly,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: mapSize(opts),
		OpenFile: func(name string, flag int, perm os.FileMode) (*os.File, error) {
			f, err = os.OpenFile(name, flag&^os.O_CREATE, perm)
			return f, err
		},
	})
	return db, f, err
}

// mapSize returns the address space to reserve. Windows would give the file
// that size.
func mapSize(opts Options) int {
	if opts.MapSize == 0 && bits.UintSize == 64 && runtime.GOOS != "windows" {
		return 1 << 30
	}
	return opts.MapSize
}

// describe turns an error of bbolt about a file it does not open into one of
// the contract's.
func describe(err error, path, file string) error {
	if errors.Is(err, berrors.ErrTimeout) {
		return &store.LockedError{Path: path}
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return wrap("open", err)
	}
	if found := inspect(path, file); found != nil {
		return found
	}
	return wrap("open", err)
}

// wrap says which step an error came from; nil stays nil.
func wrap(step string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("boltstore: %s: %w", step, err)
}
