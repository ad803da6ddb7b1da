package simnet

import (
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// A badJoin replaces the join of a kind.
type badJoin func(k crdt.Kind, cell []byte, seen merge.Dots, w crdt.Write) ([]byte, error)

// badKind is a kind with a wrong join.
type badKind struct {
	crdt.Kind
	join badJoin
}

// Join implements crdt.Kind, wrongly.
func (k badKind) Join(cell []byte, seen merge.Dots, w crdt.Write) ([]byte, error) {
	return k.join(k.Kind, cell, seen, w)
}

// wrap puts the wrong joins in place of the right ones.
func (b bugs) wrap(kinds crdt.Kinds) crdt.Kinds {
	for name, join := range b.joins {
		kinds[name] = badKind{kinds[name], join}
	}
	for name, k := range kinds {
		if b.merge != nil {
			kinds[name] = wrongMerge{k, b.merge}
		}
	}
	return kinds
}

func removeAll(k crdt.Kind, cell []byte, seen merge.Dots, w crdt.Write) ([]byte, error) {
	if !w.Put {
		return nil, nil
	}
	return k.Join(cell, seen, w)
}

func loseRemove(k crdt.Kind, cell []byte, seen merge.Dots, w crdt.Write) ([]byte, error) {
	if string(w.Payload) == string(crdt.Removed) {
		w.Put, w.Payload = false, nil
	}
	return k.Join(cell, seen, w)
}

func resurrect(k crdt.Kind, cell []byte, seen merge.Dots, w crdt.Write) ([]byte, error) {
	if p, err := crdt.DecodePhase(w.Payload); err == nil && p == crdt.PhaseAdded {
		return w.Payload, nil
	}
	return k.Join(cell, seen, w)
}

func keepOne(k crdt.Kind, cell []byte, seen merge.Dots, w crdt.Write) ([]byte, error) {
	all, err := crdt.Supersede(cell, w.Put, w.Payload)
	if err != nil {
		return nil, err
	}
	w.Op = all
	return k.Join(cell, seen, w)
}

func latestArrival(_ crdt.Kind, cell []byte, _ merge.Dots, w crdt.Write) ([]byte, error) {
	mine, err := crdt.DecodeLatest(cell)
	if err != nil || w.Time < mine.Time {
		return cell, err
	}
	arrived := crdt.Latest{Time: w.Time, Dot: w.Dot, Value: w.Payload}
	return arrived.AppendBinary(nil)
}

// addIncrement adds the payload, unless it is of a reset, to the share.
func addIncrement(k crdt.Kind, cell []byte, seen merge.Dots, w crdt.Write) ([]byte, error) {
	by, err := crdt.DecodeShare(w.Payload)
	if err != nil || by.PBase > 0 || by.NBase > 0 {
		return k.Join(cell, seen, w)
	}
	mine, err := crdt.DecodeShare(cell)
	if err != nil {
		return nil, err
	}
	mine.P, mine.N = mine.P+by.P, mine.N+by.N
	return mine.AppendBinary(nil)
}

func zeroAll(k crdt.Kind, cell []byte, seen merge.Dots, w crdt.Write) ([]byte, error) {
	joined, err := k.Join(cell, seen, w)
	if err != nil {
		return nil, err
	}
	by, err := crdt.DecodeShare(w.Payload)
	if err != nil || by != by.Reset() || by == (crdt.Share{}) {
		return joined, err
	}
	mine, err := crdt.DecodeShare(joined)
	if err != nil {
		return nil, err
	}
	zero := mine.Reset()
	return zero.AppendBinary(nil)
}
