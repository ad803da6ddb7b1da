package object

import (
	"iter"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// An Object names an object: the same key with two kinds is two objects.
type Object struct {
	Key  string `json:"key"`
	Kind string `json:"type"`
}

// A Cell is one stored part of an object.
type Cell struct {
	Element string // its name within the object
	State   []byte
}

// A Reader reads one object, or one field of a map. The states that it returns
// are the caller's to keep and must not be modified.
type Reader interface {
	// Cell returns the state of one cell, nil if it is absent.
	Cell(element string) ([]byte, error)
	// Cells yields the cells whose element starts with prefix, ascending. It
	// yields at most one error, last.
	Cells(prefix string) iter.Seq2[Cell, error]
}

// A Writer reads and writes one object, or one field of a map, in a transaction.
// Reads see what the transaction has written. The first error of a method makes
// the transaction fail.
type Writer interface {
	Reader
	// Before returns the state of a cell before the transaction, nil if it was
	// absent: what an op supersedes.
	Before(element string) ([]byte, error)
	// Write sets what the transaction does to a cell, in place of what it did
	// to it earlier: op works on the state that Before returns and contains
	// what the transaction did before. An op that neither puts nor supersedes
	// takes back what the transaction did. Write keeps op.
	Write(element string, op crdt.Op) error
	// Fail makes the transaction fail with err, unless it has failed, and
	// returns err.
	Fail(err error) error
	// Dot returns the dot of the change being made.
	Dot() merge.Dot
	// Time returns the stamp of the change being made.
	Time() hlc.Timestamp
}

// A Space holds objects that can be read.
type Space interface {
	// Reader returns the object of that key and kind.
	Reader(key, kind string) Reader
}

// A Tx is a transaction over a space: what is written in it is one change.
type Tx interface {
	Space
	// Writer returns the object of that key and kind.
	Writer(key, kind string) Writer
}
