package sync

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// A Split is two changes of one origin under one dot that follow the same
// change: what proves to everybody that the origin has forked, and where.
type Split struct {
	Space string
	// Dot is the first that names two changes. All that the origin has written
	// from there on is written again under the [BranchOrigin] of its branch.
	Dot merge.Dot
	// Changes is the two, encoded, the one with the smaller hash first.
	Changes [2][]byte
}

// NewSplit returns the split that two encoded changes prove, and false if they
// do not.
func NewSplit(space string, a, b []byte) (s Split, ok bool) {
	one, err := DecodeChange(a)
	if err != nil {
		return s, false
	}
	other, err := DecodeChange(b)
	if err != nil || one.Dot != other.Dot || one.Prev != other.Prev {
		return s, false
	}
	h, g := one.Hash(), other.Hash()
	order := slices.Compare(h[:], g[:])
	if order > 0 {
		a, b = b, a
	}
	return Split{space, one.Dot, [2][]byte{a, b}}, order != 0
}

// Disown returns a split of c, which its author has taken back and somebody else
// still has, and a change without writes in its place. The change for which it was
// taken back may be gone; so everybody sets the branch apart all the same.
func Disown(space string, c *Change) (Split, bool) {
	void, err := NewChange(c.Dot, c.Time+1, c.Prev, slices.Clone(c.Deps), nil)
	if err != nil {
		return Split{}, false
	}
	return NewSplit(space, c.Bytes(), void.Bytes())
}

// Disowned reports whether the split is one that an author makes of itself: see
// [Disown].
func (s Split) Disowned() bool {
	for _, raw := range s.Changes {
		c, err := DecodeChange(slices.Clone(raw))
		if err != nil {
			return false
		}
		if own, ok := Disown(s.Space, c); ok && slices.EqualFunc(own.Changes[:], s.Changes[:], bytes.Equal) {
			return true
		}
	}
	return false
}

// ErrSevered: the changes to take back are not the last ones of their origin.
var ErrSevered = errors.New("sync: not the last changes of the origin")

// Sever ends an origin before d: whatever it writes under d and later dots is
// refused from now on, and others that depend on it do not wait for it. An origin
// that was severed earlier in its chain stays so.
func (st *Stage) Sever(d merge.Dot) {
	if at := st.severed(d.Origin); at != 0 && at <= d.Seq {
		return
	}
	if st.cuts == nil {
		st.cuts = maps.Clone(st.space.cuts)
	}
	if st.cuts == nil {
		st.cuts = make(map[merge.Origin]uint64)
	}
	st.cuts[d.Origin] = d.Seq
	st.mended = true
	st.rewait(d)
}

// rewait looks again at what waits for d, or for later changes of its origin.
func (st *Stage) rewait(d merge.Dot) {
	for _, b := range slices.SortedFunc(maps.Keys(st.waitingNow().blocked), merge.Dot.Compare) {
		if b.Origin == d.Origin && b.Seq >= d.Seq {
			st.release(b)
		}
	}
}

// TakeBack takes the changes of a branch out of the space and writes them again
// under another origin: see [Reissue]. before is the last change that stays, of
// which Seq is 0 if there is none. The driver takes the changes out of the log. It
// returns those of the branch that could not be written again: they are nowhere
// then but with the driver.
func (st *Stage) TakeBack(b *Branch, before Head) ([]Left, error) {
	first, last := b.Changes[0], b.Changes[len(b.Changes)-1]
	head := st.Head(first.Dot.Origin)
	if head.Seq != last.Dot.Seq || head.Hash != last.Hash() || before.Seq+1 != first.Dot.Seq {
		return nil, ErrSevered
	}
	for _, c := range b.Changes {
		if err := st.retract(c, first.Dot, b); err != nil {
			return nil, err
		}
	}
	st.rewind(first.Dot.Origin, head.Seq, before)
	st.mended = true
	again, left := Reissue(st.space.kinds, b)
	for i, c := range again {
		err := st.Offer(c)
		if e, ok := errors.AsType[*RefusedError](err); ok {
			for _, c := range again[i:] {
				left = append(left, Left{c, e.Error()})
			}
			break
		}
		if err != nil && !errors.Is(err, ErrDuplicate) {
			return nil, err
		}
	}
	return left, nil
}

// since contains the changes of one origin from a dot on.
type since merge.Dot

// Contains reports whether d is one of them.
func (s since) Contains(d merge.Dot) bool { return d.Origin == s.Origin && d.Seq >= s.Seq }

// retract takes what c put out of its cells.
func (st *Stage) retract(c *Change, first merge.Dot, branch *Branch) error {
	for i := range c.Ops {
		key := c.Ops[i].Cell
		kind, ok := st.space.kinds[key.Kind]
		if !ok {
			st.summary.Unread -= min(1, st.summary.Unread)
			continue
		}
		r := crdt.Retraction{Origin: first.Origin, Gone: since(first), Element: []byte(key.Element)}
		if namesOrigin(key, first.Origin) {
			b, err := branch.Base(key)
			if errors.Is(err, ErrNoBase) {
				continue // what it counted stays counted
			}
			if err != nil {
				return err
			}
			r.Base = b
		}
		if branch.Stays != nil {
			r.Stays = func() ([]crdt.Write, bool) { return branch.Stays(key) }
		}
		target, err := st.cell(key)
		if err != nil {
			return err
		}
		after, err := crdt.Retract(kind, target.after, &r)
		switch {
		case errors.Is(err, crdt.ErrUnknownKind):
			st.summary.Unread -= min(1, st.summary.Unread)
			continue
		case err != nil:
			return fmt.Errorf("sync: cell %q of %s %q: %w", key.Element, key.Kind, key.Object, err)
		}
		target.after = after
	}
	return nil
}

// rewind moves the head of an origin back.
func (st *Stage) rewind(o merge.Origin, from uint64, to Head) {
	if st.tips == nil {
		st.tips = maps.Clone(st.space.tips)
	}
	to.Tip = to.Seq > 0 // others may depend on it; to name it once more does no harm
	if delete(st.tips, o); to.Tip {
		st.tips[o] = struct{}{}
	}
	st.heads[o] = to
	st.summary.Applied.moveHead(o, from, to.Seq)
	st.summary.Changes -= from - to.Seq
}

// severed returns the first dot's number from which an origin is refused, 0 if it
// is not.
func (st *Stage) severed(o merge.Origin) uint64 {
	if st.cuts != nil {
		return st.cuts[o]
	}
	return st.space.cuts[o]
}

// Severed returns the number from which on an origin is refused because it has
// forked there, 0 if it is not.
func (s *Space) Severed(o merge.Origin) uint64 { return s.cuts[o] }

// AllSevered returns where origins were ended because they have forked, in a map
// of the caller's own.
func (s *Space) AllSevered() map[merge.Origin]uint64 { return maps.Clone(s.cuts) }

func (s *Space) severed(o merge.Origin) uint64 { return s.cuts[o] }

// refuseSevered refuses a change of an origin that has forked before it.
func (st *Stage) refuseSevered(c *Change) error {
	at := st.severed(c.Dot.Origin)
	if at == 0 || c.Dot.Seq < at {
		return nil
	}
	return &RefusedError{c.Dot, ErrForked, fmt.Sprintf(
		"its origin has written two different changes as number %d: what it wrote from there on goes on under the origins of its branches, and nothing more is taken from it", at)}
}
