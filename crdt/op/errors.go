package op

import (
	"errors"
	"fmt"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

var (
	// ErrMessage is the kind of every [*MessageError].
	ErrMessage = errors.New("op: malformed message")
	// ErrKind is the kind of every [*KindError].
	ErrKind = errors.New("op: unknown kind")
	// ErrFull is the kind of every [*FullError].
	ErrFull = errors.New("op: too many messages wait for others")
	// ErrOwn is the kind of every [*OwnError].
	ErrOwn = errors.New("op: message under the replica's own origin")
	// ErrStamp is the kind of every [*StampError].
	ErrStamp = errors.New("op: stamp not after what was seen")
	// ErrStranger is the kind of every [*StrangerError].
	ErrStranger = errors.New("op: not a member")
	// ErrEnded: a transaction was used after its function had returned.
	ErrEnded = errors.New("op: transaction used after its function returned")
)

// A MessageError reports a message that no replica makes.
type MessageError struct {
	Dot     merge.Dot // of the message, if it has one
	Problem string
	Err     error // cause, may be nil
}

// Error says what is wrong.
func (e *MessageError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("op: message %s: %s: %v", e.Dot, e.Problem, e.Err)
	}
	return fmt.Sprintf("op: message %s: %s", e.Dot, e.Problem)
}

// Is makes a MessageError match [ErrMessage].
func (e *MessageError) Is(target error) bool { return target == ErrMessage }

// Unwrap returns the cause.
func (e *MessageError) Unwrap() error { return e.Err }

// A KindError reports a kind that the replica has not been given.
type KindError struct {
	Name  string
	Known []string
}

// Error says what to do.
func (e *KindError) Error() string {
	return fmt.Sprintf("op: kind %.40q is unknown, known are %v; make the replica with it and ask for the message again", e.Name, e.Known)
}

// Is makes a KindError match [ErrKind].
func (e *KindError) Is(target error) bool { return target == ErrKind }

// A FullError reports a message that came early and could not be kept.
type FullError struct {
	Dot     merge.Dot // the message
	Missing merge.Dot // one that has to be delivered first
}

// Error says what to do.
func (e *FullError) Error() string {
	return fmt.Sprintf("op: no room to let %s wait for %s; ask for what Missing lists, then for it again", e.Dot, e.Missing)
}

// Is makes a FullError match [ErrFull].
func (e *FullError) Is(target error) bool { return target == ErrFull }

// An OwnError reports a message under the origin of the replica that receives
// it, which the replica has not sent.
type OwnError struct{ Dot merge.Dot }

// Error says what to do.
func (e *OwnError) Error() string {
	return fmt.Sprintf("op: %s is this replica's own and newer than all it knows of itself: it was restored or copied, give it a new origin", e.Dot)
}

// Is makes an OwnError match [ErrOwn].
func (e *OwnError) Is(target error) bool { return target == ErrOwn }

// A StampError reports a stamp that is not after what its author has seen.
type StampError struct {
	At    hlc.Timestamp
	After hlc.Timestamp // the largest stamp seen
}

// Error says what to do.
func (e *StampError) Error() string {
	return fmt.Sprintf("op: a change stamped %s after one stamped %s was seen; advance the clock to LastTime first", e.At, e.After)
}

// Is makes a StampError match [ErrStamp].
func (e *StampError) Is(target error) bool { return target == ErrStamp }

// A StrangerError reports an acknowledgement of somebody who is not a member.
type StrangerError struct{ Origin merge.Origin }

// Error says what to do.
func (e *StrangerError) Error() string {
	return fmt.Sprintf("op: %s is not a member; admit it first", e.Origin)
}

// Is makes a StrangerError match [ErrStranger].
func (e *StrangerError) Is(target error) bool { return target == ErrStranger }
