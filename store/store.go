// Package store is the contract between a node and the place where its bytes
// survive: spaces of ordered tables, read in snapshots and changed in durable,
// atomic transactions. It knows no lattice theory; keys and values are opaque.
//
// # Guarantees every backend gives
//
//   - Update returns nil only when its writes will survive power loss.
//   - The writes of one Update become visible together or not at all.
//   - View and Update see one consistent snapshot from start to end; an Update
//     also sees its own writes.
//   - A View sees no write before it is durable.
//   - Updates are serialisable. Concurrent Updates may share one flush.
//   - Scans yield keys in ascending bytewise order.
//
// # Limits
//
// Call none of View, Update and Close from inside the function given to View or
// Update: they may wait for that function to return. A View that stays open for
// long may hold up writers when the backend has to grow.
//
// The suite in package storetest holds each backend to them.
package store

import (
	"context"
	"iter"
)

// A Table names one ordered table of a space. The numbers are part of the
// format of every backend and never change.
type Table uint8

// The tables of a space.
const (
	Cells  Table = 1 // cell key -> cell state
	Log    Table = 2 // origin, seq -> change
	Vector Table = 3 // origin -> newest applied change
	Acks   Table = 4 // member -> what it has durably
	Once   Table = 5 // idempotency key -> dot
	Meta   Table = 6 // local facts about the space

	Staging    Table = 7 // parts of a snapshot that is not complete yet
	Arrival    Table = 8 // position -> change, in the order in which changes were applied
	Quarantine Table = 9 // changes that were refused
)

// Limits every backend accepts; beyond them Put returns a [*LimitError].
const (
	MaxSpace = 255       // bytes in the name of a space; the empty name is the store's own space
	MaxKey   = 8 << 10   // bytes in a key; the empty key is valid
	MaxValue = 256 << 20 // bytes in a value; the empty value is valid and is not an absent one
)

// A Record is one key and its value.
type Record struct {
	Key   []byte
	Value []byte
}

// A Range selects the keys of a scan: those that start with Prefix and, when
// After is not nil, come strictly after it.
type Range struct {
	Prefix []byte
	After  []byte
}

// A Reader reads one consistent snapshot. Byte slices it returns are valid
// until the transaction ends and must not be modified. It retains none of its
// arguments once a call or the loop over a scan is over. It may be used by one
// goroutine at a time and not after its transaction.
type Reader interface {
	// Get returns the value of key, or an error that is [ErrNotFound]. A space
	// name or key beyond the limits is a [*LimitError].
	Get(space string, t Table, key []byte) ([]byte, error)
	// Scan yields the records of r in ascending order of key. It yields at
	// most one error, last. Each loop over it is a scan of its own and yields
	// what the transaction held when the loop began: writes made inside the
	// loop do not change what it yields.
	Scan(space string, t Table, r Range) iter.Seq2[Record, error]
	// Spaces yields the names of the spaces that hold at least one record,
	// ascending. The space named "" holds what belongs to no space: the
	// identity of the node; it is not listed.
	Spaces() iter.Seq2[string, error]
}

// A Tx is a read-write transaction. Put and Delete do not retain or modify
// their arguments. One that returns an error changed nothing, and the
// transaction may go on.
type Tx interface {
	Reader
	// Put sets the value of key. A nil value is an empty one.
	Put(space string, t Table, key, value []byte) error
	// Delete removes key. An absent key is not an error.
	Delete(space string, t Table, key []byte) error
}

// A Store keeps spaces. All methods are safe for concurrent use.
type Store interface {
	// View calls fn with a snapshot and returns its error as it is. A ctx that
	// is done before fn starts is its error; after that only fn watches it.
	View(ctx context.Context, fn func(Reader) error) error
	// Update calls fn with a transaction and commits it when fn returns nil.
	// When fn returns an error (or panics) nothing of it is kept and the error
	// is returned as it is; a panic goes on to the caller. fn is called once,
	// on the caller's goroutine. A ctx that is done before fn starts is its
	// error, and fn is not called; after that only fn watches it, and the
	// commit is waited for.
	//
	// An error that is [ErrUncertain] means the backend cannot tell whether
	// the writes survived; the store then accepts nothing more until reopened.
	Update(ctx context.Context, fn func(Tx) error) error
	// Close waits for running transactions and releases the store. After it,
	// every method returns [ErrClosed]. Closing twice is not an error.
	Close() error
}
