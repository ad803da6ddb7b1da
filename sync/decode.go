package sync

import (
	"slices"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// DecodeChange reads an encoded change and keeps raw, which the caller must not
// modify afterwards. Anything but the canonical encoding of a change within the
// limits is a [*merge.FormatError] or a [*TooLargeError]. Whether the ops make
// sense to their kinds is checked when the change is applied.
func DecodeChange(raw []byte) (*Change, error) {
	if len(raw) > MaxChange {
		return nil, &TooLargeError{len(raw), MaxChange, "bytes"}
	}
	d := decoder{Reader: varint.NewReader("sync: change", raw)}
	c := d.change()
	if err := d.Done(); err != nil {
		return nil, err
	}
	c.raw = raw
	return c, nil
}

// decoder reads a change. It checks that each table lists what is used, in
// order of first use and once, so that a change has one encoding.
type decoder struct {
	*varint.Reader
	origins                               []merge.Origin
	objects                               []objectRef
	elements                              []string
	usedOrigins, usedObjects, usedElement int
	counted                               int // dots
}

func (d *decoder) change() *Change {
	h := readHeader(d.Reader)
	c := &Change{Dot: h.Dot, Time: h.Time}
	if h.Dot.Seq > 1 {
		copy(c.Prev[:], d.Fixed(len(c.Prev)))
	}
	d.tables()
	c.Deps = d.dots()
	for i, dep := range c.Deps {
		if dep.Origin == c.Dot.Origin || i > 0 && dep.Origin == c.Deps[i-1].Origin {
			d.Fail("dependency on itself or twice on one origin")
		}
	}
	c.Ops = d.ops()
	if d.usedOrigins != len(d.origins) || d.usedObjects != len(d.objects) || d.usedElement != len(d.elements) {
		d.Fail("unused table entry")
	}
	return c
}

func (d *decoder) tables() {
	d.origins = make([]merge.Origin, d.Count(16))
	for i := range d.origins {
		copy(d.origins[i][:], d.Fixed(16))
	}
	d.objects = make([]objectRef, d.entries(4))
	for i := range d.objects {
		d.objects[i] = objectRef{d.name("object", MaxObject), d.name("kind", MaxKind)}
	}
	d.elements = make([]string, d.entries(1))
	for i := range d.elements {
		d.elements[i] = string(d.Bytes())
	}
	if hasDuplicates(d.origins) || hasDuplicates(d.objects) || hasDuplicates(d.elements) {
		d.Fail("table entry twice")
	}
}

// entries reads the length of a table that ops refer to, each entry of at least
// size bytes.
func (d *decoder) entries(size int) int {
	n := d.Count(size)
	if n > MaxOps {
		d.Fail("more entries than a change may have ops")
		return 0
	}
	return n
}

func hasDuplicates[T comparable](list []T) bool {
	if len(list) <= 16 {
		for i, v := range list {
			if slices.Contains(list[:i], v) {
				return true
			}
		}
		return false
	}
	seen := make(map[T]struct{}, len(list))
	for _, v := range list {
		seen[v] = struct{}{}
	}
	return len(seen) != len(list)
}

func (d *decoder) name(what string, limit int) string {
	s := string(d.Bytes())
	if d.Err() == nil && CheckName(what, s, limit) != nil {
		d.Fail("unusable name of an " + what)
	}
	return s
}

// index reads an index into a table of size n of which the first *used entries
// have been referred to: it may be one of those or the next one.
func (d *decoder) index(n int, used *int) int {
	i := d.Uvarint()
	if d.Err() != nil {
		return -1
	}
	if i >= uint64(n) || i > uint64(*used) {
		d.Fail("index beyond its table")
		return -1
	}
	if int(i) == *used {
		*used++
	}
	return int(i)
}

func (d *decoder) dots() []merge.Dot {
	n := d.Count(2)
	if d.counted += n; d.counted > MaxDots {
		d.Fail("more dots than a change may have")
		return nil
	}
	if n == 0 {
		return nil
	}
	dots := make([]merge.Dot, n)
	for k := range dots {
		i := d.index(len(d.origins), &d.usedOrigins)
		seq := d.Uvarint()
		if i < 0 {
			return nil
		}
		dots[k] = merge.Dot{Origin: d.origins[i], Seq: seq}
		if seq == 0 || seq > merge.MaxSeq || k > 0 && dots[k].Compare(dots[k-1]) <= 0 {
			d.Fail("dots out of order or range")
			return nil
		}
	}
	return dots
}

func (d *decoder) ops() []CellOp {
	n := d.Count(4)
	if n > MaxOps {
		d.Fail("more ops than a change may have")
		return nil
	}
	ops := make([]CellOp, n)
	for k := range ops {
		ops[k] = d.op()
		if d.Err() != nil {
			return nil
		}
		if k > 0 && ops[k].Cell.Compare(ops[k-1].Cell) <= 0 {
			d.Fail("ops out of order")
			return nil
		}
	}
	return ops
}

func (d *decoder) op() (op CellOp) {
	object := d.index(len(d.objects), &d.usedObjects)
	element := d.index(len(d.elements), &d.usedElement)
	if object < 0 || element < 0 {
		return op
	}
	op.Cell = CellKey{d.objects[object].object, d.objects[object].kind, d.elements[element]}
	op.Seen = d.dots()
	switch d.Byte() {
	case 0:
	case flagPut:
		op.Put, op.Payload = true, d.Bytes()
	default:
		d.Fail("unknown flag")
	}
	return op
}
