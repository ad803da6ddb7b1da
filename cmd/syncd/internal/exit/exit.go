// Package exit holds the exit codes of syncd, which are stable, and the error
// that carries one.
package exit

import "errors"

// The exit codes.
const (
	OK          = 0 // done
	Failure     = 1 // something went wrong, or things that should be equal differ
	Usage       = 2 // the command line or the input cannot be understood
	Unreachable = 3 // the daemon, or a peer, does not run or does not answer
	NotFound    = 4 // the space, object or peer is not there
	Refused     = 5 // what is there does not allow it, or the daemon does not
	Storage     = 6 // the data directory is in use, foreign, newer or damaged
)

// Table describes the codes, for help texts.
const Table = `  0  done
  1  failure, or things that should be equal differ
  2  the command line or the input cannot be understood
  3  the daemon or the peer does not run or does not answer
  4  the space, object or peer is not there
  5  refused: what is there does not allow it
  6  the data directory is in use, foreign, newer or damaged
`

// An Error is an error with the exit code it ends the program with.
type Error struct {
	Code int
	Err  error
}

// Error returns the text of the error inside.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the error inside.
func (e *Error) Unwrap() error { return e.Err }

// With gives err an exit code. A nil err stays nil.
func With(code int, err error) error {
	if err == nil {
		return nil
	}
	return &Error{code, err}
}

// Code returns the exit code of err: OK for nil, that of the outermost [Error]
// in its chain, or Failure.
func Code(err error) int {
	if err == nil {
		return OK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Failure
}
