package sync

import (
	"errors"
	"fmt"
	"time"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// Kinds of reasons for which an offered change is not applied.
var (
	// ErrDuplicate: the change was applied before. It costs nothing.
	ErrDuplicate = errors.New("sync: change already applied")
	// ErrEarly: the change waits for one that it depends on.
	ErrEarly = errors.New("sync: change waits for another")
	// ErrFull: the change came early and the waiting room is full. It has to
	// be asked for again.
	ErrFull = errors.New("sync: too many changes wait for others")
	// ErrForked: the origin has issued two changes under one dot.
	ErrForked = errors.New("sync: origin forked")
	// ErrFuture: the change is stamped too far ahead of the local clock.
	ErrFuture = errors.New("sync: change from the future")
	// ErrRejected: no correct node writes such a change.
	ErrRejected = errors.New("sync: change rejected")
	// ErrMalformed: the bytes are not a change.
	ErrMalformed = errors.New("sync: change malformed")
	// ErrForbidden: who brought the change may not write the space.
	ErrForbidden = errors.New("sync: change not allowed")
	// ErrUnknownType: the change came in a snapshot, as cells of which some are of
	// a type that this node does not know and could not pass on.
	ErrUnknownType = errors.New("sync: change of an unknown type")
)

// An EarlyError names what an early change waits for. It is [ErrEarly], or
// [ErrFull] if the change was not kept.
type EarlyError struct {
	Dot     merge.Dot // the early change
	Missing merge.Dot // what must be applied first
	Kept    bool      // whether it waits; otherwise it must be asked for again
}

// Error names both changes.
func (e *EarlyError) Error() string {
	if !e.Kept {
		return fmt.Sprintf("sync: no room to let %s wait for %s", e.Dot, e.Missing)
	}
	return fmt.Sprintf("sync: %s waits for %s", e.Dot, e.Missing)
}

// Is makes an EarlyError match its kind.
func (e *EarlyError) Is(target error) bool {
	return e.Kept && target == ErrEarly || !e.Kept && target == ErrFull
}

// A RefusedError says why a change cannot be applied, now or ever. The changes
// that depend on it wait; all others flow. It is one of [ErrForked],
// [ErrFuture], [ErrRejected], [ErrMalformed], [ErrForbidden], [ErrUnknownType] and
// [ErrTooLarge].
type RefusedError struct {
	Dot    merge.Dot
	Kind   error
	Reason string
}

// Error names the change and the reason.
func (e *RefusedError) Error() string { return fmt.Sprintf("%v: %s: %s", e.Kind, e.Dot, e.Reason) }

// Is makes a RefusedError match its kind.
func (e *RefusedError) Is(target error) bool { return target == e.Kind }

func forked(c *Change) error {
	return &RefusedError{c.Dot, ErrForked, "its predecessor is not the one that was applied here; the writer was restored from a backup or copied"}
}

func restored(c *Change) error {
	return &RefusedError{c.Dot, ErrForked, "it is this node's own, and newer than all it knows of itself: this node was restored from a backup or copied"}
}

func future(c *Change, limit hlc.Timestamp) error {
	return &RefusedError{c.Dot, ErrFuture, fmt.Sprintf("stamped %s, %v beyond the %s that is accepted; check the clocks of both devices",
		stamp(c.Time), c.Time.Time().Sub(limit.Time()).Round(time.Second), stamp(limit))}
}

func unknownType(d merge.Dot, kind string) error {
	return unreadable(d, fmt.Sprintf("it comes in a snapshot with cells of type %q, which this node does not know", kind))
}

func unreadable(d merge.Dot, reason string) error {
	return &RefusedError{d, ErrUnknownType, reason + ": upgrade this node, or register the type"}
}

func stamp(t hlc.Timestamp) string { return t.Time().UTC().Format(time.RFC3339) }

func rejected(c *Change, err error) error {
	return &RefusedError{c.Dot, ErrRejected, err.Error()}
}

// ErrSilent: nothing was heard from the peer for too long.
var ErrSilent = errors.New("sync: the peer is silent")
