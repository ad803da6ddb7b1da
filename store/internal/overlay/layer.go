package overlay

import (
	"iter"

	"github.com/joinery-crdt/joinery/store"
)

// Base returns what transactions over tx read: its base with its writes over
// it. tx must not change while one of them runs.
func (tx *Tx) Base() Base { return layer{tx} }

// Add moves the writes of from, a transaction over tx that has come to its
// end, to tx. It retains their memory.
func (tx *Tx) Add(from *Tx) {
	tx.detach()
	for e := range from.Entries() {
		tx.tree.SetHint(e, &tx.hint)
	}
	tx.size += from.size
}

// A layer is a transaction as others read it.
type layer struct{ tx *Tx }

func (l layer) Get(k Key) ([]byte, error) { return l.tx.get(k) }

func (l layer) Scan(prefix Key, after []byte) iter.Seq2[store.Record, error] {
	return l.tx.records(prefix, after)
}

func (l layer) Spaces() iter.Seq2[string, error] { return l.tx.Spaces() }
