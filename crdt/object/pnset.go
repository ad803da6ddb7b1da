package object

import (
	"iter"
	"math/big"

	"github.com/joinery-crdt/joinery/crdt"
)

// A PNSet refers to a set with a count per element, which is present while its
// count is above 0. T is encoded as canonical CBOR; equal encodings are equal
// elements.
type PNSet[T any] struct{ Ref }

// NewPNSet refers to the counting set under key.
func NewPNSet[T any](key string) PNSet[T] { return PNSet[T]{NewRef(key, crdt.PNSetKind.Name())} }

// Count returns how often v was added, less how often it was removed. A count
// beyond 64 bits is the nearest int64.
func (p PNSet[T]) Count(s Space, v T) (int64, error) {
	b, err := crdt.EncodeElement(v)
	if err != nil {
		return 0, err
	}
	for c, err := range countedElements(p.Reader(s), string(b)) {
		return nearest(c.total), err
	}
	return 0, nil
}

// Has reports whether v is in the set.
func (p PNSet[T]) Has(s Space, v T) (bool, error) {
	n, err := p.Count(s, v)
	return n > 0, err
}

// All yields the elements in the order of their encodings. It yields at most
// one error, last.
func (p PNSet[T]) All(s Space) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for c, err := range countedElements(p.Reader(s), "") {
			var v T
			if err == nil && c.total.Sign() <= 0 {
				continue
			}
			if err == nil {
				v, err = crdt.DecodeValue[T]([]byte(c.element))
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Len returns the number of elements. It visits them all, and those whose count
// is not above 0.
func (p PNSet[T]) Len(s Space) (int, error) { return count(p.All(s)) }

// Add counts v up by 1. [crdt.ErrOverflow] says that this origin's share cannot
// grow further.
func (p PNSet[T]) Add(tx Tx, v T) error { return p.count(tx, v, 1) }

// Remove counts v down by 1, whether or not it is in the set. The error is as
// for Add.
func (p PNSet[T]) Remove(tx Tx, v T) error { return p.count(tx, v, -1) }

func (p PNSet[T]) count(tx Tx, v T, by int64) error {
	return writeElement(p.Writer(tx), v, func(w Writer, element string) error {
		origin := w.Dot().Origin
		return addShare(w, element+string(origin[:]), by)
	})
}

// Reset takes away what the transaction sees of v, so that its count is 0. What
// is counted concurrently survives.
func (p PNSet[T]) Reset(tx Tx, v T) error {
	return writeElement(p.Writer(tx), v, resetShares)
}

// counted is an element of a counting set and its count.
type counted struct {
	element string
	total   *big.Int
}

// countedElements yields the elements whose encoding starts with prefix and
// their counts. No encoding is the beginning of another, so that one element's
// cells stand together. It yields at most one error, last.
func countedElements(r Reader, prefix string) iter.Seq2[counted, error] {
	return func(yield func(counted, error) bool) {
		var sum counted
		for c, err := range r.Cells(prefix) {
			element, share, err := readElementShare(c, err)
			if err != nil {
				yield(counted{}, err)
				return
			}
			if sum.total == nil || element != sum.element {
				if sum.total != nil && !yield(sum, nil) {
					return
				}
				sum = counted{element, new(big.Int)}
			}
			addTo(sum.total, share)
		}
		if sum.total != nil {
			yield(sum, nil)
		}
	}
}

// readElementShare returns the element that a cell belongs to and its share.
func readElementShare(c Cell, err error) (string, crdt.Share, error) {
	if err != nil {
		return "", crdt.Share{}, err
	}
	element, _, err := crdt.SplitElementShare([]byte(c.Element))
	if err != nil {
		return "", crdt.Share{}, err
	}
	share, err := crdt.DecodeShare(c.State)
	return string(element), share, err
}
