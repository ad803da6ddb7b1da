package simnet

import (
	"fmt"

	"github.com/joinery-crdt/joinery/merge"
)

// A Guarantee is what a client may rely on when it moves between nodes.
//
// Source: Terry et al., "Session Guarantees for Weakly Consistent Replicated
// Data", PDIS 1994.
type Guarantee string

// The guarantees.
const (
	// ReadYourWrites: what a client reads contains what it wrote.
	ReadYourWrites Guarantee = "read your writes"
	// MonotonicReads: what a client reads contains what it read before.
	MonotonicReads Guarantee = "monotonic reads"
	// MonotonicWrites: who sees a write sees what its writer wrote before.
	MonotonicWrites Guarantee = "monotonic writes"
	// WritesFollowReads: who sees a write sees what its writer had read.
	WritesFollowReads Guarantee = "writes follow reads"
	// ConsistentPrefix: who sees a change sees what was there when it was made.
	ConsistentPrefix Guarantee = "consistent prefix"
)

// A Visit is one transaction of a client at a node of its choice.
type Visit struct {
	Client string
	Cut    *merge.VersionVector // what the node shows; kept and not modified
	Wrote  merge.Dot            // that the client was told is durable; the zero Dot if it read
}

// A SessionError names a guarantee that a visit broke and a change that the cut
// should contain.
type SessionError struct {
	Guarantee Guarantee
	Client    string // who reads
	Missing   merge.Dot
}

// Error says who misses what.
func (e *SessionError) Error() string {
	return fmt.Sprintf("simnet: %s: client %s is not shown %s", e.Guarantee, e.Client, e.Missing)
}

// A SessionChecker judges the histories of the clients of one space. It knows
// nothing but cuts and dots: every check compares two vectors. The zero value
// has seen nothing.
type SessionChecker struct {
	clients map[string]*session
	names   []string // of clients, in the order in which they came
	made    map[merge.Dot]*merge.VersionVector
}

// session is what a client remembers.
type session struct {
	read, wrote *merge.VersionVector
	writes      []sessionWrite
}

// sessionWrite is a write and what its client had written and read before.
type sessionWrite struct {
	dot         merge.Dot
	wrote, read *merge.VersionVector
}

// Made notes that a change was made where seen was applied. It keeps seen.
func (c *SessionChecker) Made(d merge.Dot, seen *merge.VersionVector) {
	if c.made == nil {
		c.made = make(map[merge.Dot]*merge.VersionVector)
	}
	c.made[d] = seen
}

// Token returns what a node must have applied to serve the client: the reads
// and the writes of its session. The caller must not modify them.
func (c *SessionChecker) Token(client string) (read, wrote *merge.VersionVector) {
	s := c.session(client)
	return s.read, s.wrote
}

// Forget begins a new session for the client.
func (c *SessionChecker) Forget(client string) {
	s := c.session(client)
	s.read, s.wrote = &merge.VersionVector{}, &merge.VersionVector{}
}

// Visit judges a visit and remembers it. An error is a [*SessionError].
func (c *SessionChecker) Visit(v Visit) error {
	s := c.session(v.Client)
	err := c.check(v, s)
	if v.Wrote.Seq > 0 {
		s.writes = append(s.writes, sessionWrite{v.Wrote, s.wrote.Clone(), s.read})
		s.wrote.Raise(v.Wrote)
	} else {
		s.read = v.Cut
	}
	return err
}

func (c *SessionChecker) session(client string) *session {
	s, ok := c.clients[client]
	if !ok {
		if c.clients == nil {
			c.clients = make(map[string]*session)
		}
		s = &session{read: &merge.VersionVector{}, wrote: &merge.VersionVector{}}
		c.clients[client] = s
		c.names = append(c.names, client)
	}
	return s
}

func (c *SessionChecker) check(v Visit, s *session) error {
	if err := v.contains(ReadYourWrites, s.wrote); err != nil {
		return err
	}
	if err := v.contains(MonotonicReads, s.read); err != nil {
		return err
	}
	for _, name := range c.names {
		if err := c.clients[name].checkOrder(v); err != nil {
			return err
		}
	}
	return c.checkPrefix(v)
}

// contains returns an error unless the cut contains all of want.
func (v *Visit) contains(g Guarantee, want *merge.VersionVector) error {
	if v.Cut.Covers(want) {
		return nil
	}
	for _, d := range want.Sorted() {
		if !v.Cut.Contains(d) {
			return &SessionError{g, v.Client, d}
		}
	}
	return nil
}

// checkOrder looks at the last write of the session that the visit is shown.
// What came before it includes what came before the others.
func (s *session) checkOrder(v Visit) error {
	for i := len(s.writes) - 1; i >= 0; i-- {
		if w := s.writes[i]; v.Cut.Contains(w.dot) {
			if err := v.contains(MonotonicWrites, w.wrote); err != nil {
				return err
			}
			return v.contains(WritesFollowReads, w.read)
		}
	}
	return nil
}

// checkPrefix looks at the last change of each origin, whose author had seen
// what it had seen when it made the earlier ones.
func (c *SessionChecker) checkPrefix(v Visit) (err error) {
	for d := range v.Cut.Heads() {
		if seen := c.made[d]; seen != nil && !v.Cut.Covers(seen) {
			err = v.contains(ConsistentPrefix, seen)
		}
	}
	return err
}
