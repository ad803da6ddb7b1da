package crdt

import (
	"cmp"
	"encoding/binary"
	"math"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// An Account is what one origin did with the rights of a [BoundedCounter]. It
// is written by the origin alone, and all its numbers only grow. It is the cell
// of the counter.
type Account struct {
	Created Total                         // by counting up
	Spent   Total                         // by counting down
	Given   merge.ByOrigin[Total, *Total] // transferred to others
}

// flow returns the rights that the origin created and those that it spent or
// gave, without those that it was given.
func (a *Account) flow() (f flow) {
	f.in.add(uint64(a.Created))
	f.out.add(uint64(a.Spent))
	for _, n := range a.Given.All() {
		f.out.add(uint64(*n))
	}
	return f
}

// backed reports whether the origin created all that it spent and gave.
func (a *Account) backed() bool {
	f := a.flow()
	return f.out.above(f.in) == 0
}

// to returns what the origin gave to another.
func (a *Account) to(origin merge.Origin) Total {
	if n, ok := a.Given.Get(origin); ok {
		return *n
	}
	return 0
}

// Merge takes the larger of each number.
func (a *Account) Merge(from *Account) bool {
	created, spent := a.Created.Merge(&from.Created), a.Spent.Merge(&from.Spent)
	return a.Given.Merge(&from.Given) || created || spent
}

// Equal reports whether all numbers are equal.
func (a *Account) Equal(o *Account) bool {
	return a.Created == o.Created && a.Spent == o.Spent && a.Given.Equal(&o.Given)
}

// Clone returns a copy that shares no memory with the receiver.
func (a *Account) Clone() *Account { return &Account{a.Created, a.Spent, *a.Given.Clone()} }

func (a *Account) plus(o *Account) error {
	err := cmp.Or(a.Created.plus(&o.Created), a.Spent.plus(&o.Spent))
	for to, n := range o.Given.All() {
		given := a.to(to)
		err = cmp.Or(err, given.plus(n))
		a.Given.Raise(to, given)
	}
	return err
}

func (a *Account) minus(o *Account) {
	a.Created, a.Spent = a.Created-o.Created, a.Spent-o.Spent
	var given merge.ByOrigin[Total, *Total]
	for to, n := range a.Given.All() {
		if left := *n - o.to(to); left > 0 {
			given.Raise(to, left)
		}
	}
	a.Given = given
}

// AppendBinary appends created, spent, the origins that were given rights,
// ascending, and how many each.
func (a *Account) AppendBinary(dst []byte) ([]byte, error) {
	dst = binary.AppendUvarint(dst, uint64(a.Created))
	dst = binary.AppendUvarint(dst, uint64(a.Spent))
	dst = appendOwners(dst, &a.Given)
	for _, n := range a.Given.All() {
		dst = binary.AppendUvarint(dst, uint64(*n))
	}
	return dst, nil
}

// minAccount is the size of the smallest account.
const minAccount = 3

// readAccount takes off an account, which is not empty.
func readAccount(r *varint.Reader) Account {
	a := Account{Created: Total(r.Uvarint()), Spent: Total(r.Uvarint())}
	if max(a.Created, a.Spent) > math.MaxInt64 {
		r.Fail("a count over 63 bits")
	}
	for _, to := range readOwners(r, 1) {
		a.Given.Raise(to, readTotal(r))
	}
	if a.Created == 0 && a.Spent == 0 && a.Given.Len() == 0 {
		r.Fail("an empty account")
	}
	return a
}

func decodeAccount(b []byte) (Account, error) {
	r := varint.NewReader("crdt: account", b)
	return readAccount(r), r.Done()
}

// DecodeAccount reads the cell of a bounded counter. A nil cell is an empty
// account.
func DecodeAccount(cell []byte) (Account, error) {
	if cell == nil {
		return Account{}, nil
	}
	a, err := decodeAccount(cell)
	if err != nil {
		return Account{}, &CellError{BoundedKind.Name(), err}
	}
	return a, nil
}
