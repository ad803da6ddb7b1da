package crdt

import (
	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

func (c *PNCounter) store() store { return dotlessStore[PNCounter, *PNCounter]{c} }

func (c *PNCounter) resetInto(delta *PNCounter) {
	for origin, share := range c.shares.All() {
		if reset := share.Reset(); reset != *share {
			delta.shares.Raise(origin, reset)
		}
	}
}

func (c *PNCounter) counts() bool {
	for _, share := range c.shares.All() {
		if share.Reset() != *share {
			return true
		}
	}
	return false
}

func (c *PNCounter) under(*merge.Context) *PNCounter { return c }

func (c *PNCounter) typeName() string { return PNCounterKind.Name() }

func (c *PNCounter) appendStore(dst []byte, _ *dotTable) ([]byte, error) {
	return c.appendShares(dst), nil
}

func (c *PNCounter) readStore(r *varint.Reader, _ *dotTable) error { return c.readShares(r) }

func (s *PNSet[T]) store() store { return dotlessStore[PNSet[T], *PNSet[T]]{s} }

func (s *PNSet[T]) resetInto(delta *PNSet[T]) {
	for v, c := range s.counters.All() {
		var reset PNCounter
		c.resetInto(&reset)
		delta.counters.Join(v, &reset)
	}
}

func (s *PNSet[T]) counts() bool {
	for _, c := range s.counters.All() {
		if c.counts() {
			return true
		}
	}
	return false
}

func (s *PNSet[T]) under(*merge.Context) *PNSet[T] { return s }

func (s *PNSet[T]) typeName() string { return PNSetKind.Name() }

func (s *PNSet[T]) appendStore(dst []byte, _ *dotTable) ([]byte, error) { return s.appendBody(dst) }

func (s *PNSet[T]) readStore(r *varint.Reader, _ *dotTable) error { return s.readBody(r) }

func (c *GCounter) store() store { return dotlessStore[GCounter, *GCounter]{c} }

func (c *GCounter) resetInto(delta *GCounter) { c.totals.resetInto(&delta.totals) }

func (c *GCounter) counts() bool { return c.totals.counts() }

func (c *GCounter) under(*merge.Context) *GCounter { return c }

func (c *GCounter) typeName() string { return GCounterKind.Name() }

func (c *GCounter) appendStore(dst []byte, _ *dotTable) ([]byte, error) {
	return c.totals.appendBoth(dst), nil
}

func (c *GCounter) readStore(r *varint.Reader, _ *dotTable) error {
	return c.totals.readBoth(r, readTotal, 1)
}

func (c *BoundedCounter) store() store { return dotlessStore[BoundedCounter, *BoundedCounter]{c} }

func (c *BoundedCounter) resetInto(delta *BoundedCounter) { c.accounts.resetInto(&delta.accounts) }

func (c *BoundedCounter) counts() bool { return c.accounts.counts() }

func (c *BoundedCounter) under(*merge.Context) *BoundedCounter { return c }

func (c *BoundedCounter) typeName() string { return BoundedKind.Name() }

func (c *BoundedCounter) appendStore(dst []byte, _ *dotTable) ([]byte, error) {
	return c.accounts.appendBoth(dst), nil
}

func (c *BoundedCounter) readStore(r *varint.Reader, _ *dotTable) error {
	return c.accounts.readBoth(r, readAccount, minAccount)
}
