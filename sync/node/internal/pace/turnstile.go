package pace

import "slices"

// A Turnstile lets a bounded number in at a time, in the order in which they
// came.
type Turnstile[K comparable] struct {
	limit  int
	inside map[K]struct{}
	line   []K
}

// NewTurnstile returns one that lets at most limit in, at least 1.
func NewTurnstile[K comparable](limit int) *Turnstile[K] {
	return &Turnstile[K]{limit: max(limit, 1), inside: make(map[K]struct{})}
}

// Enter lets k in, or puts it at the end of the line. Asking again changes
// nothing. It returns the place in the line, 0 for inside.
func (t *Turnstile[K]) Enter(k K) (place int) {
	if _, in := t.inside[k]; in {
		return 0
	}
	if place := slices.Index(t.line, k) + 1; place > 0 {
		return place
	}
	if len(t.inside) < t.limit {
		t.inside[k] = struct{}{}
		return 0
	}
	t.line = append(t.line, k)
	return len(t.line)
}

// Leave takes k out, from wherever it is. If that makes room it lets the first
// of the line in and returns it.
func (t *Turnstile[K]) Leave(k K) (next K, ok bool) {
	if at := slices.Index(t.line, k); at >= 0 {
		t.line = slices.Delete(t.line, at, at+1)
	}
	delete(t.inside, k)
	if len(t.line) == 0 || len(t.inside) >= t.limit {
		return next, false
	}
	next = t.line[0]
	t.line = slices.Delete(t.line, 0, 1)
	t.inside[next] = struct{}{}
	return next, true
}

// Inside returns how many are in.
func (t *Turnstile[K]) Inside() int { return len(t.inside) }

// Waiting returns how many stand in line.
func (t *Turnstile[K]) Waiting() int { return len(t.line) }
