package store

import (
	"errors"
	"fmt"
)

// Kinds of error. Test for them with errors.Is.
var (
	// ErrNotFound: the key is absent.
	ErrNotFound = errors.New("store: not found")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store: closed")
	// ErrReadOnly: the store accepts no writes, by its options or because the
	// disk is nearly full.
	ErrReadOnly = errors.New("store: read-only")
	// ErrLocked: another process has the store open.
	ErrLocked = errors.New("store: locked by another process")
	// ErrUncertain: a flush did not succeed, so what the store holds is
	// unknown until it is reopened. It is never retried over lost pages.
	ErrUncertain = errors.New("store: flush did not succeed; reopen the store")
	// ErrForeign: the place holds something that is not such a store.
	ErrForeign = errors.New("store: not a joinery store")
	// ErrNewer: the store was written by a newer version of the software.
	ErrNewer = errors.New("store: written by a newer version")
)

// A CorruptError reports bytes that are not what was written.
type CorruptError struct {
	Space  string
	Table  Table
	Key    []byte // key of the record, nil if it is unknown
	Offset int64  // position in the file in bytes, -1 if it is unknown
	Err    error  // what is wrong
}

// Error says where the damage is and what to do about it.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("store: corrupt record in space %q table %d key %x at offset %d: %v; restore a backup or sync into an empty store",
		e.Space, e.Table, e.Key, e.Offset, e.Err)
}

// Unwrap returns the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

// A LimitError reports a space name, key or value beyond the contract's limits.
type LimitError struct {
	What  string // "space", "key" or "value"
	Size  int    // bytes given
	Limit int    // bytes allowed
}

// Error names the limit.
func (e *LimitError) Error() string {
	return fmt.Sprintf("store: %s of %d bytes, the limit is %d", e.What, e.Size, e.Limit)
}

// A LockedError says which store is locked. It is [ErrLocked].
type LockedError struct{ Path string }

// Error says who to ask.
func (e *LockedError) Error() string {
	return fmt.Sprintf("store: %s is in use by another process; stop that process or choose another directory", e.Path)
}

// Is makes a LockedError match [ErrLocked].
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// A ForeignError says what was found in place of a store. It is [ErrForeign]
// or, for a newer format, [ErrNewer].
type ForeignError struct {
	Path string
	Have string // what was found
	Kind error  // ErrForeign or ErrNewer
}

// Error says what was found and what to do.
func (e *ForeignError) Error() string {
	do := "choose another directory"
	if e.Kind == ErrNewer {
		do = "upgrade this software"
	}
	return fmt.Sprintf("store: %s holds %s; %s", e.Path, e.Have, do)
}

// Is makes a ForeignError match its kind.
func (e *ForeignError) Is(target error) bool { return target == e.Kind }

// A FullError says that the disk has too little room. It is [ErrReadOnly]. The
// Update that gets it has changed nothing, and the store takes Updates again,
// without being reopened, as soon as there is room.
type FullError struct {
	Path string
	Free int64 // bytes that are free, -1 if that is unknown
	Need int64 // bytes that must be free before the store takes Updates
	Err  error // what the system said to a write, nil if none was tried
}

// Error says how much room there is, how much there must be, and what to do.
func (e *FullError) Error() string {
	const advice = "make room; nothing that was acknowledged is lost"
	if e.Err != nil {
		return fmt.Sprintf("store: no room for more in %s: %v; %s", e.Path, e.Err, advice)
	}
	return fmt.Sprintf("store: the disk of %s has %d bytes free, writes need %d; %s", e.Path, e.Free, e.Need, advice)
}

// Is makes a FullError match [ErrReadOnly].
func (e *FullError) Is(target error) bool { return target == ErrReadOnly }

// Unwrap returns what the system said.
func (e *FullError) Unwrap() error { return e.Err }

// CheckKey returns a [*LimitError] for a space name or key beyond the limits.
// The empty name is valid: it is the store's own space.
func CheckKey(space string, key []byte) error {
	if len(space) > MaxSpace {
		return &LimitError{"space", len(space), MaxSpace}
	}
	if len(key) > MaxKey {
		return &LimitError{"key", len(key), MaxKey}
	}
	return nil
}
