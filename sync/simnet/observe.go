package simnet

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// An observation is what a node's cells say of one space.
type observation struct {
	values map[thing]string // as a spec says it; nothing is left out
	dots   map[thing]string // live dots of causal cells
	sums   map[thing]int64  // of counters, while reading
	print  crdtsync.Fingerprint
	digest fnv // of all keys and states
}

// observe reads the cells of a space as an application does.
func (n *node) observe(space int) (*observation, error) {
	o := &observation{
		values: make(map[thing]string), dots: make(map[thing]string), sums: make(map[thing]int64), digest: fnvOffset,
	}
	err := n.view(func(r store.Reader) error {
		for rec, err := range r.Scan(n.world.spaces[space], store.Cells, store.Range{}) {
			if err == nil {
				err = o.add(n.world, rec)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	for t, sum := range o.sums {
		if sum != 0 {
			o.values[t] = strconv.FormatInt(sum, 10)
		}
	}
	return o, err
}

func (o *observation) add(w *world, rec store.Record) error {
	o.digest.number(uint64(len(rec.Key)))
	o.digest.write(rec.Key)
	o.digest.number(uint64(len(rec.Value)))
	o.digest.write(rec.Value)
	addPrint(&o.print, cellPrint(rec))
	key, err := crdtsync.ParseCellKey(rec.Key)
	if err != nil {
		return err
	}
	t := thing{object: key.Object, kind: key.Kind}
	if key.Kind == pncounter {
		return o.addShare(t, rec.Value)
	}
	if key.Element != "" {
		if t.element, err = crdt.DecodeValue[string]([]byte(key.Element)); err != nil {
			return err
		}
	}
	switch key.Kind {
	case orset, rwset, mvregister:
		return o.addDots(w, t, rec.Value)
	}
	value, err := plainValue(key.Kind, rec.Value)
	if value != "" {
		o.values[t] = value
	}
	return err
}

// plainValue reads a cell of a kind without dots.
func plainValue(kind string, state []byte) (string, error) {
	switch kind {
	case twopset:
		p, err := crdt.DecodePhase(state)
		return presence(p == crdt.PhaseAdded), err
	case lww:
		l, err := crdt.DecodeLatest(state)
		if err != nil {
			return "", err
		}
		return shortValue(l.Value)
	}
	return present, nil
}

// shortValue decodes a register's value and takes its padding off.
func shortValue(b []byte) (string, error) {
	v, err := crdt.DecodeValue[string](b)
	return strings.TrimRight(v, "."), err
}

func (o *observation) addShare(t thing, state []byte) error {
	s, err := crdt.DecodeShare(state)
	o.sums[t] += int64(s.P-s.PBase) - int64(s.N-s.NBase)
	return err
}

func (o *observation) addDots(w *world, t thing, state []byte) error {
	live, err := crdt.DecodeDots(state)
	if err != nil {
		return err
	}
	var dots, values []string
	removed := false
	for e := range live.All() {
		dots = append(dots, w.label(e.Dot))
		removed = removed || t.kind == rwset && string(e.Value) == string(crdt.Removed)
		if t.kind == mvregister {
			v, err := shortValue(e.Value)
			if err != nil {
				return err
			}
			values = append(values, v)
		}
	}
	slices.Sort(dots)
	slices.Sort(values)
	o.dots[t] = strings.Join(dots, " ")
	switch {
	case t.kind == mvregister:
		o.values[t] = strings.Join(values, " | ")
	case !removed:
		o.values[t] = present
	}
	return nil
}

// cellPrint is what a cell contributes to the fingerprint of a space, computed
// from the definition and not by the code that updates it.
func cellPrint(rec store.Record) crdtsync.Fingerprint {
	b := binary.AppendUvarint(nil, uint64(len(rec.Key)))
	b = append(append(b, rec.Key...), rec.Value...)
	return hashPrint(b)
}

func headPrint(d merge.Dot) crdtsync.Fingerprint {
	return hashPrint(binary.BigEndian.AppendUint64(append([]byte{}, d.Origin[:]...), d.Seq))
}

func vectorPrint(v *merge.VersionVector) (sum crdtsync.Fingerprint) {
	for d := range v.Heads() {
		addPrint(&sum, headPrint(d))
	}
	return sum
}

func hashPrint(b []byte) crdtsync.Fingerprint {
	h := sha256.Sum256(b)
	f, _ := crdtsync.ParseFingerprint(h[:])
	return f
}

func addPrint(f *crdtsync.Fingerprint, g crdtsync.Fingerprint) {
	var carry uint64
	for i := range f {
		f[i], carry = bits.Add64(f[i], g[i], carry)
	}
}
