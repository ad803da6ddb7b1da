package overlay

import (
	"iter"

	"github.com/joinery-crdt/joinery/store"
)

// A Base is the committed state that transactions read. It follows the rules
// of [store.Reader]; its keys are within the limits.
type Base interface {
	// Get returns the value of k, or an error that is store.ErrNotFound.
	Get(k Key) ([]byte, error)
	// Scan yields, ascending, the records whose key starts with prefix and
	// whose inner key is above after, unless after is nil. Each record's key is
	// its inner key. The prefix has at least a whole space.
	Scan(prefix Key, after []byte) iter.Seq2[store.Record, error]
	// Spaces yields the names of the spaces with records, ascending, without
	// the one named "".
	Spaces() iter.Seq2[string, error]
}

// A Reader is a [store.Reader] of a base.
type Reader struct {
	base Base
	buf  Key // for lookups
}

// NewReader returns a reader of base.
func NewReader(base Base) *Reader { return &Reader{base: base} }

// End makes every later use of r an error that is [store.ErrClosed].
func (r *Reader) End() { r.base = ended{} }

// Get implements [store.Reader].
func (r *Reader) Get(space string, t store.Table, key []byte) ([]byte, error) {
	k, err := r.key(space, t, key)
	if err != nil {
		return nil, err
	}
	return r.base.Get(k)
}

// key returns the Key of a record, valid until the next call.
func (r *Reader) key(space string, t store.Table, key []byte) (Key, error) {
	if err := store.CheckKey(space, key); err != nil {
		return nil, err
	}
	r.buf = AppendKey(r.buf[:0], space, t, key)
	return r.buf, nil
}

// Scan implements [store.Reader].
func (r *Reader) Scan(space string, t store.Table, rg store.Range) iter.Seq2[store.Record, error] {
	return scan(space, t, rg, func(prefix Key, after []byte) iter.Seq2[store.Record, error] {
		return r.base.Scan(prefix, after)
	})
}

// Spaces implements [store.Reader].
func (r *Reader) Spaces() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { r.base.Spaces()(yield) }
}

// A scanFunc is the Scan of a base, or of a base with writes over it.
type scanFunc func(prefix Key, after []byte) iter.Seq2[store.Record, error]

// scan yields the records of one table with the keys callers know.
func scan(space string, t store.Table, rg store.Range, inner scanFunc) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if err := store.CheckKey(space, nil); err != nil {
			yield(store.Record{}, err)
			return
		}
		prefix := AppendKey(nil, space, t, rg.Prefix)
		for rec, err := range inner(prefix, innerKey(t, rg.After)) {
			if err == nil {
				rec.Key = rec.Key[1:]
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// innerKey returns the inner key of a record's key, nil for nil.
func innerKey(t store.Table, key []byte) []byte {
	if key == nil {
		return nil
	}
	return append([]byte{byte(t)}, key...)
}

// ended is the base of a transaction that is over.
type ended struct{}

func (ended) Get(Key) ([]byte, error) { return nil, store.ErrClosed }

func (ended) Scan(Key, []byte) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) { yield(store.Record{}, store.ErrClosed) }
}

func (ended) Spaces() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield("", store.ErrClosed) }
}
