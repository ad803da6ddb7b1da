package sync

import (
	"errors"
	"fmt"

	"github.com/joinery-crdt/joinery/merge"
)

// A Source is a Local whose log may have been truncated, and which can be read
// for snapshots instead. What one call returns is of one durable state.
type Source interface {
	Local
	// Floor returns the last change of an origin that the log no longer holds,
	// 0 if it holds all.
	Floor(space string, o merge.Origin) uint64
	// State returns the heads of the space, in a map of the caller's, and the
	// account of what is applied.
	State(space string) (map[merge.Origin]Head, Summary, error)
	// CellsAfter returns the stored cells that follow a key, in order: at least
	// one if there is one, and beyond it at most size bytes.
	CellsAfter(space, key string, size int) ([]StoredCell, error)
	// CellsAt returns the cells with the stored keys given, in their order.
	CellsAt(space string, keys []string) ([]StoredCell, error)
	// Touched returns the cells that the changes of an origin after a dot have
	// written to, and the number of the last change that it looked at: that of
	// until, or an earlier one once there are count cells. It names those that an
	// op of a change in known is known to have written to, if known is not nil.
	// It returns [ErrForgotten] if it no longer knows of all cells.
	Touched(space string, after merge.Dot, until uint64, count int, known merge.Dots) (touches []Touch, last uint64, err error)
}

// ErrForgotten: what was written since a vector is not known any more.
var ErrForgotten = errors.New("sync: forgotten what was written since")

// ErrTruncated is the kind of every [*TruncatedError].
var ErrTruncated = errors.New("sync: log truncated")

// A TruncatedError names a change that was applied and is no longer in the log.
type TruncatedError struct {
	Space string
	Dot   merge.Dot
}

// Error says what to do.
func (e *TruncatedError) Error() string {
	return fmt.Sprintf("sync: change %s of space %q is no longer in the log; what begins before it needs a snapshot: connect the nodes", e.Dot, e.Space)
}

// Is makes a TruncatedError match [ErrTruncated].
func (e *TruncatedError) Is(target error) bool { return target == ErrTruncated }
