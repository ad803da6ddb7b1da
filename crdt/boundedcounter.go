package crdt

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A BoundedCounter counts up and down and never falls below 0, on no replica
// and in no order of merging. For another bound, count from there: what is left
// above a lower bound, or what is free below an upper one.
//
// Whoever counts up gets as many rights to count down. [BoundedCounter.Dec]
// spends rights that its own origin has, without asking anybody, and is refused
// when they do not suffice; [BoundedCounter.Transfer] gives some of them to
// another origin. The value is the sum of all rights that are not spent. Those
// of an origin that has gone for good stay unspent: it should give them away
// before. The delta of a payment carries the accounts that it rests on, so that
// nothing is spent anywhere before it is there.
//
// The state is an [Account] per origin that ever counted: it grows with the
// origins, and with the pairs of them between which rights were moved. Only its
// origin writes an account, so an origin belongs to one replica, whose state
// must not be lost and then written again under the same origin: it could spend
// its rights twice.
//
// In a field of an [ORMap], removing the field takes away the rights that the
// remover sees. What their origin spends or gives of them at the same time, it
// then owes: it has no rights before it has counted up by as much again, and
// nobody else has fewer for that.
//
// The zero value is 0, without rights, and ready to use. A BoundedCounter must
// not be copied by assignment once used, and is not safe for concurrent
// mutation.
//
// Source: Balegas et al., "Extending eventually consistent cloud databases for
// enforcing numeric invariants", SRDS 2015.
type BoundedCounter struct {
	accounts tallies[Account, *Account]
}

// ErrRights is the kind of every [*RightsError].
var ErrRights = errors.New("crdt: too few rights to count down")

// A RightsError reports an origin that has fewer rights than it would spend or
// give. It can count up, or another that has rights, see
// [BoundedCounter.Holders], can transfer them.
type RightsError struct {
	Origin     merge.Origin
	Have, Want uint64
}

// Error says how many rights there are.
func (e *RightsError) Error() string {
	return fmt.Sprintf("crdt: origin %s has rights to count down by %d, not by %d; have more transferred to it", e.Origin, e.Have, e.Want)
}

// Is makes a RightsError match [ErrRights].
func (e *RightsError) Is(target error) bool { return target == ErrRights }

// Inc adds n as origin, which gets as many rights, and returns the delta. It
// returns [ErrOverflow], a nil delta, and leaves the counter unchanged if origin
// would have counted up by more than 2^63-1 in its life.
func (c *BoundedCounter) Inc(origin merge.Origin, n uint64) (*BoundedCounter, error) {
	created, err := c.all(origin).Created.Add(n)
	if err != nil {
		return nil, err
	}
	delta := &BoundedCounter{}
	if n > 0 {
		delta.Join(origin, Account{Created: created})
		c.Merge(delta)
	}
	return delta, nil
}

// Dec subtracts n as origin, which spends as many of its rights, and returns
// the delta. It returns a [*RightsError] if they do not suffice, or
// [ErrOverflow] if origin would have spent more than 2^63-1 in its life; then
// the delta is nil and nothing changes.
func (c *BoundedCounter) Dec(origin merge.Origin, n uint64) (*BoundedCounter, error) {
	return c.pay(origin, n, func(a *Account) (err error) {
		a.Spent, err = a.Spent.Add(n)
		return err
	})
}

// Transfer gives n rights of from to another origin and returns the delta. Only
// the replica whose origin is from may call it. It returns a [*RightsError] if
// from has fewer, or [ErrOverflow] if it would have given that origin more than
// 2^63-1 in its life; then the delta is nil and nothing changes. A transfer to
// itself changes nothing.
func (c *BoundedCounter) Transfer(from, to merge.Origin, n uint64) (*BoundedCounter, error) {
	return c.pay(from, n, func(a *Account) error {
		if from == to || n == 0 {
			return nil
		}
		given, err := a.to(to).Add(n)
		if err == nil {
			a.Given.Raise(to, given)
		}
		return err
	})
}

// pay lets change take n rights out of origin's account, and returns the delta.
func (c *BoundedCounter) pay(origin merge.Origin, n uint64, change func(*Account) error) (*BoundedCounter, error) {
	if have := c.Rights(origin); have < n {
		return nil, &RightsError{origin, have, n}
	}
	account := c.all(origin)
	if err := change(&account); err != nil {
		return nil, err
	}
	delta := &BoundedCounter{}
	if c.Join(origin, account) {
		c.back(delta, origin)
	}
	return delta, nil
}

// back copies the account of origin to delta and, unless origin has paid for
// everything by counting up itself, those of its donors, likewise.
func (c *BoundedCounter) back(delta *BoundedCounter, origin merge.Origin) {
	account, ok := c.accounts.Get(origin)
	if !ok || !delta.accounts.Join(origin, account) || account.backed() {
		return
	}
	for donor, a := range c.accounts.All() {
		if a.to(origin) > 0 {
			c.back(delta, donor)
		}
	}
}

// all returns a copy of all that origin ever did.
func (c *BoundedCounter) all(origin merge.Origin) Account {
	if a, ok := c.accounts.Get(origin); ok {
		return *a.Clone()
	}
	return Account{}
}

// Account returns a copy of the account of origin, in a field without what
// removals of the field have seen of it.
func (c *BoundedCounter) Account(origin merge.Origin) Account { return *c.accounts.of(origin).Clone() }

// Join merges the account of one origin, as [DecodeAccount] reads it from a
// cell, and reports a change. It does not retain a.
func (c *BoundedCounter) Join(origin merge.Origin, a Account) bool {
	return c.accounts.Join(origin, &a)
}

// Value returns what was counted up and not down, which is the sum of all
// rights. A sum beyond the uint64 range is the end of it; the state stays exact.
// An origin that was used twice, or a liar, can have spent more than there was;
// it counts for 0, as one that owes what a removal took away.
func (c *BoundedCounter) Value() uint64 {
	var all sum
	for _, of := range c.flows() {
		all.add(of.left())
	}
	return all.above(sum{})
}

// Rights returns by how much origin may count down.
func (c *BoundedCounter) Rights(origin merge.Origin) uint64 {
	of := c.accounts.of(origin).flow()
	for _, a := range c.accounts.left() {
		of.in.add(uint64(a.to(origin)))
	}
	return of.left()
}

// Holders yields the origins that have rights, ascending, with their number.
func (c *BoundedCounter) Holders() iter.Seq2[merge.Origin, uint64] {
	flows := c.flows()
	return func(yield func(merge.Origin, uint64) bool) {
		for _, origin := range slices.SortedFunc(maps.Keys(flows), merge.Origin.Compare) {
			if n := flows[origin].left(); n > 0 && !yield(origin, n) {
				return
			}
		}
	}
}

// flows returns the rights of all origins.
func (c *BoundedCounter) flows() map[merge.Origin]flow {
	flows := make(map[merge.Origin]flow, c.accounts.Len())
	for origin, a := range c.accounts.left() {
		of := a.flow()
		of.in.addSum(flows[origin].in)
		flows[origin] = of
		for to, n := range a.Given.All() {
			of := flows[to]
			of.in.add(uint64(*n))
			flows[to] = of
		}
	}
	return flows
}

// A flow is the rights that came in and went out.
type flow struct{ in, out sum }

func (f flow) left() uint64 { return f.in.above(f.out) }

// Merge joins from into the receiver and reports a change. It neither modifies
// nor retains from.
func (c *BoundedCounter) Merge(from *BoundedCounter) bool { return c.accounts.Merge(&from.accounts) }

// Equal reports whether both have the same accounts.
func (c *BoundedCounter) Equal(o *BoundedCounter) bool { return c.accounts.Equal(&o.accounts) }

// Clone returns a copy that shares nothing with the receiver.
func (c *BoundedCounter) Clone() *BoundedCounter { return &BoundedCounter{*c.accounts.Clone()} }

// MarshalBinary returns the canonical form (docs/format.md). It never fails.
func (c *BoundedCounter) MarshalBinary() ([]byte, error) { return c.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (c *BoundedCounter) AppendBinary(dst []byte) ([]byte, error) {
	return c.accounts.appendForm(dst, BoundedKind.Name())
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError],
// and then the receiver is unchanged. It does not retain b.
func (c *BoundedCounter) UnmarshalBinary(b []byte) error {
	return c.accounts.readForm(b, BoundedKind.Name(), readAccount, minAccount)
}
