package sync

import (
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/merge"
)

// nameable is the changes whose ops may name cells to a peer: what it has
// applied, but for what it said that it does not know the cells of.
type nameable struct {
	applied *merge.VersionVector
	spell   *merge.VersionVector // nil for nothing
}

// Contains implements merge.Dots.
func (n nameable) Contains(d merge.Dot) bool {
	return n.applied.Contains(d) && (n.spell == nil || !n.spell.Contains(d))
}

// sortTouches returns each cell once: under its key, ascending, or under a name,
// ascending.
func sortTouches(found []Touch) (keys []string, named []Touch) {
	slices.SortFunc(found, func(a, b Touch) int {
		if c := strings.Compare(a.Key, b.Key); c != 0 {
			return c
		}
		return b.Name.Compare(a.Name) // one without a name last
	})
	found = slices.CompactFunc(found, func(a, b Touch) bool { return a.Key == b.Key })
	for _, t := range found {
		if t.Named() {
			named = append(named, t)
		} else {
			keys = append(keys, t.Key)
		}
	}
	slices.SortFunc(named, func(a, b Touch) int { return a.Name.Compare(b.Name) })
	return keys, named
}

// name returns a chunk of cells that have names, nil if none are left. A cell
// that is large by itself loses its name: only chunks of keys carry parts.
func (s *sending) name(src Source) (Frame, error) {
	if len(s.named) == 0 {
		return nil, nil
	}
	cells, err := src.CellsAt(s.space, keysOf(s.named[:min(len(s.named), chunkKeys)]))
	if err != nil {
		return nil, err
	}
	f := &SnapshotNamed{Space: s.space, Number: s.number, Chunk: s.chunk}
	var gone, held []string
	used, size := 0, 0
	for used < len(cells) && (used == 0 || size+len(cells[used].State) <= chunkBytes) {
		c, name := cells[used], s.named[used].Name
		switch used++; {
		case c.State == nil:
			f.Gone, gone = append(f.Gone, name), append(gone, c.Key)
		case len(c.State) > chunkBytes:
			s.keys = append(s.keys, c.Key)
		default:
			f.Held, held = append(f.Held, NamedCell{name, c.State}), append(held, c.Key)
			size += len(c.State)
		}
	}
	s.named = s.named[used:]
	if slices.Sort(s.keys); len(gone)+len(held) == 0 {
		return nil, nil
	}
	f.Check = CheckKeys(append(gone, held...))
	s.chunk++
	return f, nil
}

func keysOf(touches []Touch) []string {
	keys := make([]string, len(touches))
	for i, t := range touches {
		keys[i] = t.Key
	}
	return keys
}

// stepNamed takes a chunk of named cells. Only a part has such: what a receiver
// of all cells has applied is no matter.
func (l *Link) stepNamed(f *SnapshotNamed, r *Ready) {
	l.withSpace(f.Space, r, func(s *linkSpace) {
		if in := s.receiving; in != nil && in.part && in.number == f.Number && in.chunk == f.Chunk {
			in.chunk++
			in.moved = true
			r.Staged = append(r.Staged, Staged{s.name, f})
		}
	})
}

// Spell tells the peer that the driver cannot say which cells it has named, and
// asks again. unknown is the changes of which the driver has forgotten what they
// wrote to. If that was said before and did not help, or explains nothing, no
// change that is applied here is to name a cell: that ends it.
func (l *Link) Spell(space string, unknown *merge.VersionVector) (r Ready) {
	l.withSpace(space, &r, func(s *linkSpace) {
		if s.spelled || unknown.Len() == 0 {
			unknown = l.local.Vector(space)
		}
		s.spelled, s.receiving, s.ended = true, nil, nil
		r.Send = append(r.Send, &Spell{space, unknown})
		l.ask(s, &r)
	})
	return r
}
