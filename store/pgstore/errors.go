package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/joinery-crdt/joinery/store"
)

// Kinds of error besides those of package store. Test for them with errors.Is.
var (
	// ErrUnavailable: the server cannot be reached, or the connection was lost
	// before a commit. Nothing was written; trying again is safe.
	ErrUnavailable = errors.New("pgstore: server unavailable")
	// ErrUnsupported: the server or the configuration cannot keep the contract.
	ErrUnsupported = errors.New("pgstore: unsupported")
)

// An Error reports what a server or a place in it is not fit for, or not now.
type Error struct {
	Place   string // the database and schema, without secrets
	Problem string
	Do      string // what helps
	Kind    error  // ErrUnavailable, ErrUnsupported, or one of package store's
	Err     error  // the cause, nil if there is none
}

// Error says where, what, and what to do.
func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("pgstore: %s: %s; %s", e.Place, e.Problem, e.Do)
	}
	return fmt.Sprintf("pgstore: %s: %s: %v; %s", e.Place, e.Problem, e.Err, e.Do)
}

// Is makes an Error match its kind.
func (e *Error) Is(target error) bool { return target == e.Kind }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// SQLSTATEs that this package acts on.
const (
	codeTaken      = "JN001" // raised by enter
	codeLost       = "JN002" // raised by enter
	codeReadOnly   = "25006"
	codeDiskFull   = "53100"
	codeTooMany    = "53300"
	codeShutdown   = "57P01"
	codeCrashed    = "57P02"
	codeStarting   = "57P03"
	codePrivileges = "42501"
)

// lost reports whether err leaves open what the server did. An answer of the
// server's that ends the statement only does not.
func lost(err error) bool {
	if err == nil {
		return false
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || e.SeverityUnlocalized != "ERROR"
}

// passing reports whether it may help to connect again.
func passing(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		_, bad := errors.AsType[*Error](err)
		return !bad
	}
	switch e.Code {
	case codeTooMany, codeShutdown, codeCrashed, codeStarting:
		return true
	}
	return false
}

// described reports whether err says already what it means.
func described(err error) bool {
	_, ours := errors.AsType[*Error](err)
	_, corrupt := errors.AsType[*store.CorruptError](err)
	return ours || corrupt || errors.Is(err, store.ErrNotFound) || errors.Is(err, ErrTable)
}

// describe says what an answer of the server means.
func (p place) describe(step string, err error) error {
	if err == nil {
		return nil
	}
	if described(err) {
		return err
	}
	out := &Error{Place: p.String(), Problem: step, Err: err}
	e, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case !ok || lost(err) && passing(err) || errors.Is(err, context.DeadlineExceeded):
		out.Kind, out.Do = ErrUnavailable, "check that the server runs and can be reached, then try again"
	case e.Code == codeTaken:
		out.Kind, out.Do = store.ErrLocked, "stop one of the two, then open the store again"
	case e.Code == codeLost:
		out.Kind, out.Do = store.ErrUncertain, "it was restored or failed over to a copy that lags; open the store again to go on from what is there"
	case e.Code == codeReadOnly:
		out.Kind, out.Do = store.ErrReadOnly, "connect to the primary server, with a role that may write"
	case e.Code == codeDiskFull:
		out.Kind, out.Do = store.ErrReadOnly, "make room on the server's disk"
	case e.Code == codePrivileges:
		out.Kind, out.Do = ErrUnsupported, "grant the role CREATE on the database, or USAGE on the schema and all rights in it"
	default:
		out.Kind, out.Do = ErrUnavailable, "check the connection string and the server's log"
	}
	return out
}
