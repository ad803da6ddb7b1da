package spacestore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// What a space keeps of forks lies among its local facts: the two changes that
// prove one, the hashes of changes that have left the log, and what their origins
// had counted.
var (
	splitKey = []byte("split\x00") // prefix; then the origin
	hashKey  = []byte("hash\x00")  // prefix; then origin and number
	baseKey  = []byte("base\x00")  // prefix; then the origin; then the stored key of a cell, or nothing
)

// KeptHashes is how many changes of an origin that have left the log are still
// known by their hashes. A device whose disk was set back by no more can find out
// which of its changes others have, and count on from there.
const KeptHashes = 1024

// SetSplit keeps what proves that an origin has forked, in place of a later fork
// of it. The origin is severed there when the space is loaded again.
func SetSplit(tx store.Tx, s crdtsync.Split) error {
	b := varint.AppendBytes(varint.AppendBytes(nil, s.Changes[0]), s.Changes[1])
	return tx.Put(s.Space, store.Meta, slices.Concat(splitKey, s.Dot.Origin[:]), b)
}

// Splits returns what proves the forks of a space, ascending by origin.
func Splits(r store.Reader, space string) (all []crdtsync.Split, err error) {
	for rec, err := range r.Scan(space, store.Meta, store.Range{Prefix: splitKey}) {
		if err != nil {
			return nil, err
		}
		in := varint.NewReader("proof of a fork", rec.Value)
		a, b := slices.Clone(in.Bytes()), slices.Clone(in.Bytes())
		s, ok := crdtsync.NewSplit(space, a, b)
		if err := in.Done(); err != nil || !ok || string(rec.Key) != string(splitKey)+string(s.Dot.Origin[:]) {
			return nil, corrupt(space, store.Meta, rec.Key, errors.New("not two changes that prove a fork"))
		}
		all = append(all, s)
	}
	return all, nil
}

// severedIn returns where the origins that have forked are severed.
func severedIn(r store.Reader, space string) (map[merge.Origin]uint64, error) {
	splits, err := Splits(r, space)
	if err != nil || len(splits) == 0 {
		return nil, err
	}
	at := make(map[merge.Origin]uint64)
	for _, s := range splits {
		at[s.Dot.Origin] = s.Dot.Seq
	}
	return at, nil
}

// Last returns what the head of a space would be if d was it: the hash and the
// time of the change, false if they are not known any more.
func Last(r store.Reader, space string, d merge.Dot) (h crdtsync.Head, ok bool, err error) {
	raw, err := r.Get(space, store.Log, logKey(d))
	if err == nil {
		head, err := crdtsync.ReadHeader(raw)
		if err != nil {
			return h, false, corrupt(space, store.Log, logKey(d), err)
		}
		return crdtsync.Head{Seq: d.Seq, Hash: sha256.Sum256(raw), Time: head.Time}, true, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return h, false, err
	}
	key := slices.Concat(hashKey, logKey(d))
	b, err := r.Get(space, store.Meta, key)
	if errors.Is(err, store.ErrNotFound) {
		return h, false, nil
	}
	if err == nil && len(b) != len(h.Hash)+hlc.BinaryLen {
		err = corrupt(space, store.Meta, key, errors.New("not a hash and a time"))
	}
	if err != nil {
		return h, false, err
	}
	h = crdtsync.Head{Seq: d.Seq, Time: hlc.Timestamp(binary.BigEndian.Uint64(b))}
	copy(h.Hash[:], b[hlc.BinaryLen:])
	return h, true, nil
}

// saveHash keeps the hash and the time of a change that leaves the log, and drops
// that of one long before it.
func saveHash(tx store.Tx, space string, c *crdtsync.Change) error {
	hash := c.Hash()
	b := append(binary.BigEndian.AppendUint64(nil, uint64(c.Time)), hash[:]...)
	if err := tx.Put(space, store.Meta, slices.Concat(hashKey, logKey(c.Dot)), b); err != nil || c.Dot.Seq <= KeptHashes {
		return err
	}
	return tx.Delete(space, store.Meta, slices.Concat(hashKey, logKey(merge.Dot{Origin: c.Dot.Origin, Seq: c.Dot.Seq - KeptHashes})))
}

// saveBase keeps what a change that leaves the log says that its origin has
// counted. The log must have held all changes of the origin before, or their bases
// must have been kept.
func saveBase(tx store.Tx, space string, c *crdtsync.Change) error {
	prefix := slices.Concat(baseKey, c.Dot.Origin[:])
	if c.Dot.Seq == 1 {
		if err := tx.Put(space, store.Meta, prefix, nil); err != nil {
			return err
		}
	}
	for i := range c.Ops {
		op := &c.Ops[i]
		if !op.Put || !strings.HasSuffix(op.Cell.Element, string(c.Dot.Origin[:])) {
			continue
		}
		key, _ := op.Cell.AppendBinary(slices.Clone(prefix))
		if err := tx.Put(space, store.Meta, key, op.Payload); err != nil {
			return err
		}
	}
	return nil
}

// dropBases forgets what an origin had counted: its changes came without the log.
func dropBases(tx store.Tx, space string, o merge.Origin) error {
	return tx.Delete(space, store.Meta, slices.Concat(baseKey, o[:]))
}

// A bases is what an origin had counted before a change of it.
type bases struct {
	r     store.Reader
	space string
	first merge.Dot
	head  uint64 // of the origin, in the space
	floor uint64
	read  bool
	log   map[crdtsync.CellKey][]byte
	// What the branch is, if it is to be taken back, and what else was written to its
	// cells, nil if that was not read. The log is whole from the first change on.
	branch []*crdtsync.Change
	rest   map[crdtsync.CellKey][]crdt.Write
	whole  bool
}

func basesBefore(r store.Reader, s *crdtsync.Space, first merge.Dot) *bases {
	b := &bases{r: r, space: s.Name(), first: first, head: s.Head(first.Origin).Seq, floor: s.Floor(first.Origin), whole: true}
	for d := range s.Vector().Heads() {
		b.whole = b.whole && s.Floor(d.Origin) == 0
	}
	return b
}

// stays returns the writes to a cell of the branch that stay, and false if the log
// does not tell. Where no origins are counted, writes older than the branch are left
// out.
func (b *bases) stays(key crdtsync.CellKey) ([]crdt.Write, bool) {
	if b.whole && b.rest == nil {
		b.rest = make(map[crdtsync.CellKey][]crdt.Write)
		b.whole = b.readStays() == nil
	}
	return b.rest[key], b.whole
}

func (b *bases) readStays() error {
	cells := make(map[crdtsync.CellKey]bool)
	for _, c := range b.branch {
		for i := range c.Ops {
			cells[c.Ops[i].Cell] = true
		}
	}
	for rec, err := range b.r.Scan(b.space, store.Log, store.Range{}) {
		if err != nil {
			return err
		}
		h, err := crdtsync.ReadHeader(rec.Value)
		if err == nil && h.Time < b.branch[0].Time && !bytes.Contains(rec.Value, b.first.Origin[:]) {
			continue
		}
		c, err := crdtsync.DecodeChange(slices.Clone(rec.Value))
		if err != nil {
			return err
		}
		if c.Dot.Origin == b.first.Origin && c.Dot.Seq >= b.first.Seq {
			continue
		}
		for i := range c.Ops {
			if op := &c.Ops[i]; op.Put && cells[op.Cell] {
				w := crdt.Write{Dot: c.Dot, Time: c.Time, Element: []byte(op.Cell.Element), Op: op.Op}
				b.rest[op.Cell] = append(b.rest[op.Cell], w)
			}
		}
	}
	return nil
}

// of returns the payload of the last write to a cell, nil if there is none, or
// [crdtsync.ErrNoBase], if not all changes before are here.
func (b *bases) of(key crdtsync.CellKey) ([]byte, error) {
	if b.head+1 < b.first.Seq {
		return nil, crdtsync.ErrNoBase
	}
	if err := b.readLog(); err != nil {
		return nil, err
	}
	if payload, ok := b.log[key]; ok || b.floor == 0 {
		return payload, nil
	}
	prefix := slices.Concat(baseKey, b.first.Origin[:])
	_, err := b.r.Get(b.space, store.Meta, prefix)
	if errors.Is(err, store.ErrNotFound) || b.floor >= b.first.Seq {
		return nil, crdtsync.ErrNoBase
	}
	if err != nil {
		return nil, err
	}
	stored, _ := key.AppendBinary(prefix)
	payload, err := b.r.Get(b.space, store.Meta, stored)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return slices.Clone(payload), err
}

func (b *bases) readLog() error {
	if b.read {
		return nil
	}
	b.read, b.log = true, make(map[crdtsync.CellKey][]byte)
	for rec, err := range b.r.Scan(b.space, store.Log, store.Range{Prefix: b.first.Origin[:]}) {
		if err != nil {
			return err
		}
		c, err := crdtsync.DecodeChange(slices.Clone(rec.Value))
		if err != nil {
			return corrupt(b.space, store.Log, rec.Key, err)
		}
		if c.Dot.Seq >= b.first.Seq {
			return nil
		}
		for i := range c.Ops {
			if op := &c.Ops[i]; op.Put && strings.HasSuffix(op.Cell.Element, string(c.Dot.Origin[:])) {
				b.log[op.Cell] = op.Payload
			}
		}
	}
	return nil
}

// ErrBelowFloor: changes that have to be taken back are no longer in the log.
var ErrBelowFloor = errors.New("the changes to take back are no longer in the log")

// TakeBack takes the changes of an origin from first on back, in the stage, which
// writes them again under another origin, and takes them out of the log and the
// index of arrivals. The caller saves what the stage persists. It returns those
// that could not be written again.
func TakeBack(tx store.Tx, was *crdtsync.Space, st *crdtsync.Stage, first merge.Dot) ([]crdtsync.Left, error) {
	name, o := was.Name(), first.Origin
	if was.Head(o).Seq < first.Seq {
		return nil, nil
	}
	if was.Floor(o) >= first.Seq {
		return nil, ErrBelowFloor
	}
	base := basesBefore(tx, was, first)
	branch := &crdtsync.Branch{Base: base.of, Stays: base.stays}
	for seq := first.Seq; seq <= was.Head(o).Seq; seq++ {
		c, err := decoded(tx, name, merge.Dot{Origin: o, Seq: seq})
		if err != nil {
			return nil, err
		}
		branch.Changes = append(branch.Changes, c)
	}
	base.branch = branch.Changes
	before, err := headBefore(tx, name, branch.Changes[0])
	if err != nil {
		return nil, err
	}
	left, err := st.TakeBack(branch, before)
	if err != nil {
		return nil, err
	}
	for _, c := range branch.Changes {
		if err := tx.Delete(name, store.Log, logKey(c.Dot)); err != nil {
			return nil, err
		}
	}
	return left, clearTable(tx, name, store.Arrival)
}

// builtOn reports whether a change of another origin depends on a dot of the branch
// that begins with first. Its author may have meant the other branch, and may have
// written before first.
func builtOn(r store.Reader, space string, first *crdtsync.Change) (bool, error) {
	onBranch := func(d merge.Dot) bool { return d.Origin == first.Dot.Origin && d.Seq >= first.Dot.Seq }
	for rec, err := range r.Scan(space, store.Log, store.Range{}) {
		if err != nil {
			return false, err
		}
		h, err := crdtsync.ReadHeader(rec.Value)
		if err == nil && (h.Dot.Origin == first.Dot.Origin || !bytes.Contains(rec.Value, first.Dot.Origin[:])) {
			continue
		}
		c, err := crdtsync.DecodeChange(slices.Clone(rec.Value))
		if err != nil {
			return false, corrupt(space, store.Log, rec.Key, err)
		}
		if slices.ContainsFunc(c.Deps, onBranch) {
			return true, nil
		}
	}
	return false, nil
}

// SetApart writes changes of a branch of which the space has applied none again
// under the origin of the branch, in the stage, as far as that is possible now. It
// returns how many there are of them that need not be kept.
func SetApart(r store.Reader, was *crdtsync.Space, st *crdtsync.Stage, kinds crdt.Kinds, branch []*crdtsync.Change) (done int, err error) {
	first := branch[0].Dot
	again, left := crdtsync.Reissue(kinds, &crdtsync.Branch{Changes: branch, Base: basesBefore(r, was, first).of})
	if len(left) > 0 {
		branch = branch[:left[0].Change.Dot.Seq-first.Seq]
	}
	for i, c := range again {
		_, refused := errors.AsType[*crdtsync.RefusedError](st.Offer(c))
		if refused || !st.Contains(c.Dot) {
			return min(i, len(branch)), nil
		}
	}
	return len(branch), nil
}

// headBefore returns the head that is left when c is taken back. A time that is
// not known any more is the least possible.
func headBefore(r store.Reader, name string, c *crdtsync.Change) (h crdtsync.Head, err error) {
	if c.Dot.Seq == 1 {
		return h, nil
	}
	h, ok, err := Last(r, name, merge.Dot{Origin: c.Dot.Origin, Seq: c.Dot.Seq - 1})
	if !ok {
		h = crdtsync.Head{Seq: c.Dot.Seq - 1, Time: 1}
	}
	h.Hash = c.Prev
	return h, err
}

func decoded(r store.Reader, space string, d merge.Dot) (*crdtsync.Change, error) {
	raw, err := Change(r, space, d)
	if err != nil {
		return nil, err
	}
	return crdtsync.DecodeChange(raw)
}

// clearTable removes a table of a space.
func clearTable(tx store.Tx, space string, t store.Table) error {
	var keys [][]byte
	for rec, err := range tx.Scan(space, t, store.Range{}) {
		if err != nil {
			return err
		}
		keys = append(keys, slices.Clone(rec.Key))
	}
	for _, k := range keys {
		if err := tx.Delete(space, t, k); err != nil {
			return err
		}
	}
	return nil
}
