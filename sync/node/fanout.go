package node

import (
	"slices"
	"sync"

	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// Bounds of the encoded frames that a node keeps for the links that need the same
// ones.
const (
	maxPacked      = 64
	maxPackedBytes = 1 << 20
)

// fanout keeps the bytes of the newest data frames: what is new goes to all
// peers alike, and is encoded once.
type fanout struct {
	mu   sync.Mutex // guards what follows
	kept []packed   // the newest last
	size int        // bytes of them
}

// packed is a frame and its bytes, which nobody modifies.
type packed struct {
	frame *crdtsync.Changes
	s2    bool // compressed, if that pays
	bytes []byte
}

// is reports whether f says the same, in the very same slice of changes: that
// comes from what the space remembers.
func (p *packed) is(f *crdtsync.Changes, s2 bool) bool {
	return p.frame != nil && p.s2 == s2 && len(p.frame.Changes) == len(f.Changes) && &p.frame.Changes[0] == &f.Changes[0] &&
		p.frame.Space == f.Space && p.frame.Position == f.Position
}

// encode returns the bytes of a frame, which other links may be sending too, and
// compressed if the peer knows that and it pays.
func (o *fanout) encode(f crdtsync.Frame, s2 bool) ([]byte, error) {
	c, ok := f.(*crdtsync.Changes)
	if !ok || len(c.Changes) == 0 {
		return pack(f, s2)
	}
	if b := o.find(c, s2); b != nil {
		return b, nil
	}
	b, err := pack(f, s2)
	if err == nil {
		o.keep(packed{c, s2, b})
	}
	return b, err
}

func pack(f crdtsync.Frame, s2 bool) ([]byte, error) {
	b, err := wire.AppendLong(nil, f)
	if err == nil && s2 && len(b) <= wire.MaxFrame {
		b = wire.Compress(b)
	}
	return b, err
}

func (o *fanout) find(f *crdtsync.Changes, s2 bool) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := len(o.kept) - 1; i >= 0; i-- {
		if p := &o.kept[i]; p.is(f, s2) {
			return p.bytes
		}
	}
	return nil
}

func (o *fanout) keep(p packed) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept = append(o.kept, p)
	o.size += len(p.bytes)
	old := 0
	for ; len(o.kept)-old > maxPacked || o.size > maxPackedBytes; old++ {
		o.size -= len(o.kept[old].bytes)
	}
	o.kept = slices.Delete(o.kept, 0, old)
}

// remember keeps what the space has just applied for the links. The caller holds
// s.mu.
func (s *Space) remember(p *crdtsync.Persist) {
	if len(p.Merged) > 0 || p.Floor != nil {
		s.recent.Reset()
	}
	s.recent.Add(p.Log, p.Summary.Changes)
}

// Recall implements [crdtsync.Recaller].
func (l locals) Recall(o *crdtsync.Outbox, count, size int) [][]byte {
	s := l.node.lookup(o.Space())
	if s == nil {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.recent.After(o, count, size)
}
