package boltstore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/store"
)

// A Report is what [Doctor] found.
type Report struct {
	File      string
	FileBytes int64 // length of the file
	FreeBytes int64 // of its pages that can be reused
	LostBytes int64 // of its pages that nothing uses and that cannot be reused; Compact gives them back
	Spaces    []SpaceReport
	Damage    []*store.CorruptError // the first ones
	Damaged   int                   // how many there are
}

// A SpaceReport is what is in one space.
type SpaceReport struct {
	Name    string // "" is the store's own
	Records int    // that are sound
	Bytes   int64  // of their keys and values
}

// maxDamage is how much damage a Report names.
const maxDamage = 100

// Sound reports whether no damage was found.
func (r *Report) Sound() bool { return r.Damaged == 0 }

// String returns the report as lines of text.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d bytes, %d of them free, %d lost\n", r.File, r.FileBytes, r.FreeBytes, r.LostBytes)
	for _, s := range r.Spaces {
		fmt.Fprintf(&b, "space %q: %d records, %d bytes\n", s.Name, s.Records, s.Bytes)
	}
	for _, d := range r.Damage {
		fmt.Fprintln(&b, d)
	}
	if n := r.Damaged - len(r.Damage); n > 0 {
		fmt.Fprintf(&b, "and %d more\n", n)
	}
	return b.String()
}

// Doctor reads every page and record of the store in the directory path and
// says what is there and what is damaged, and where. It changes nothing, goes on
// behind damage, and reads files that [Open] refuses. No process may have the
// store open to write: that is a [*store.LockedError]. When ctx ends it stops
// with the context's error.
func Doctor(ctx context.Context, path string, opts Options) (*Report, error) {
	opts.ReadOnly = true
	name := filepath.Join(path, fileName)
	if err := prepare(path, name, opts); err != nil {
		return nil, err
	}
	db, _, err := lockFile(name, opts)
	if err == nil {
		defer db.Close() // for the lock only: bbolt does not return from some damaged trees
	} else if err = describe(err, path, name); !isCorrupt(err) {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, wrap("open", err)
	}
	defer f.Close()
	d := &doctor{ctx: ctx, file: f, report: &Report{File: name}}
	if err := cmp.Or(d.examine(), d.foreign(path)); err != nil {
		return nil, err
	}
	return d.report, nil
}

// isCorrupt reports whether err is about damage, of which Doctor tells more.
func isCorrupt(err error) bool {
	_, ok := errors.AsType[*store.CorruptError](err)
	return ok
}

// A doctor examines one file.
type doctor struct {
	ctx    context.Context
	file   *os.File
	pages  *pageReader
	report *Report
	format uint32 // version, 0 if there is none
}

// foreign returns an error if the file is no store, or a newer one.
func (d *doctor) foreign(path string) error {
	if d.format == 0 && d.report.Sound() {
		return &store.ForeignError{Path: path, Have: "a bbolt file of another program", Kind: store.ErrForeign}
	}
	return checkVersion(d.format, path)
}

// found notes damage in the report. Another error is returned.
func (d *doctor) found(err error) error {
	damage, ok := errors.AsType[*store.CorruptError](err)
	if !ok {
		return err
	}
	if d.report.Damaged++; len(d.report.Damage) < maxDamage {
		d.report.Damage = append(d.report.Damage, damage)
	}
	return nil
}

// examine fills the report.
func (d *doctor) examine() error {
	info, err := d.file.Stat()
	if err != nil {
		return wrap("stat", err)
	}
	d.report.FileBytes = info.Size()
	h, ok := d.headers()
	if !ok {
		return nil
	}
	pageSize := h.pageSize
	if whole := uint64(info.Size() / pageSize); h.end > whole {
		_ = d.found(corruptAt(info.Size(), fmt.Errorf("the file is cut off; page %d is the end", h.end)))
		h.end = whole
	}
	d.pages = newPageReader(d.file, pageSize, h.end)
	if err := d.walk(h.root, directory{d}); err != nil {
		return err
	}
	n, err := d.pages.free(h.freelist)
	d.report.FreeBytes = n * pageSize
	if err == nil {
		d.report.LostBytes = (int64(h.end) - d.pages.inUse()) * pageSize
	}
	slices.SortFunc(d.report.Spaces, func(a, b SpaceReport) int { return strings.Compare(a.Name, b.Name) })
	return d.found(err)
}

// headers returns the newer of the sound headers, if there is one.
func (d *doctor) headers() (newest header, ok bool) {
	second := int64(os.Getpagesize())
	for page := range int64(2) {
		h, err := readHeader(d.file, page*second)
		if err != nil {
			_ = d.found(err)
			continue
		}
		second = h.pageSize
		if !ok || h.transaction > newest.transaction {
			newest, ok = h, true
		}
	}
	return newest, ok
}

// A visitor is shown the elements of the leaves of a tree, in order.
type visitor interface {
	visit(e element, offset int64) error
}

// walk shows v the tree below a page.
func (d *doctor) walk(root uint64, v visitor) error {
	p, err := d.pages.read(root)
	if err != nil {
		return d.found(err)
	}
	return d.walkPage(p, v, &order{}, 0)
}

// An order is a place in a tree, from which keys go up. Behind the key of a
// branch the same key may come once more, below it.
type order struct {
	last   []byte
	begun  bool
	branch bool // whether last is the key of a branch
}

// step goes to a key.
func (o *order) step(key []byte, branch bool) error {
	c := bytes.Compare(key, o.last)
	if o.begun && (c < 0 || c == 0 && !o.branch) {
		return fmt.Errorf("%w: %x", errOrder, key)
	}
	*o = order{key, true, branch}
	return nil
}

// walkPage is walk for a page that was read.
func (d *doctor) walkPage(p page, v visitor, o *order, depth int) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	if p.flags() != leafPage && p.flags() != branchPage {
		return d.found(corruptAt(p.offset, fmt.Errorf("%w: flags %#x in a tree", errPage, p.flags())))
	}
	if depth > deepest {
		return d.found(corruptAt(p.offset, errDeep))
	}
	for i := range p.count() {
		if err := d.found(d.walkElement(p, i, v, o, depth)); err != nil {
			return err
		}
	}
	return nil
}

// walkElement shows v an element of a leaf, or what is below one of a branch.
func (d *doctor) walkElement(p page, i int, v visitor, o *order, depth int) error {
	e, ok := p.element(i)
	if !ok {
		return corruptAt(p.at(i), fmt.Errorf("%w: an element that does not lie within it", errPage))
	}
	leaf := p.flags() == leafPage
	if err := o.step(e.key, !leaf); err != nil {
		return corruptAt(p.at(i), err)
	}
	if leaf {
		return v.visit(e, p.at(i))
	}
	child, err := d.pages.read(e.child)
	if err != nil {
		return err
	}
	return d.walkPage(child, v, o, depth+1)
}

// directory is the visitor of the tree of buckets.
type directory struct{ *doctor }

func (d directory) visit(e element, offset int64) error {
	if !e.bucket || len(e.value) < bucketHead {
		return corruptAt(offset, fmt.Errorf("%w in the place of a space: %x", errNoRecord, e.key))
	}
	var v visitor = format(d)
	if !bytes.Equal(e.key, formatBucket) {
		space, err := spaceOf(e.key)
		if err != nil {
			return corruptAt(offset, fmt.Errorf("name of a space: %w: %x", errChecksum, e.key))
		}
		d.report.Spaces = append(d.report.Spaces, SpaceReport{Name: string(space)})
		v = &records{sum: sumOf(space), report: &d.report.Spaces[len(d.report.Spaces)-1]}
	}
	if root := binary.NativeEndian.Uint64(e.value); root != 0 {
		return d.walk(root, v)
	}
	if len(e.value) < bucketHead+pageHead {
		return corruptAt(offset, errNoRecord)
	}
	return d.walkPage(page{offset, e.value[bucketHead:]}, v, &order{}, 0)
}

// records is the visitor of a space.
type records struct {
	sum    spaceSum
	report *SpaceReport
}

func (r *records) visit(e element, offset int64) error {
	if e.bucket {
		return corruptAt(offset, fmt.Errorf("%w: a bucket within a space: %x", errNoRecord, e.key))
	}
	value, err := unseal(r.sum, e.key, e.value)
	if damage, ok := errors.AsType[*store.CorruptError](err); ok {
		damage.Offset = offset
		return damage
	}
	r.report.Records++
	r.report.Bytes += int64(len(e.key) - 1 + len(value))
	return err
}

// format is the visitor of the bucket of the format: all of it ends in its own
// checksum.
type format struct{ *doctor }

func (d format) visit(e element, offset int64) error {
	if e.bucket || !bytes.Equal(e.key, formatKey) && !bytes.Equal(e.key, placeKey) {
		return corruptAt(offset, fmt.Errorf("%w: %x beside the format", errNoRecord, e.key))
	}
	n := len(e.value) - sumSize
	if n < 0 || crc32.Checksum(e.value[:n], castagnoli) != binary.BigEndian.Uint32(e.value[n:]) {
		return corruptAt(offset, fmt.Errorf("%s record: %w", e.key, errChecksum))
	}
	if bytes.Equal(e.key, formatKey) && n == 4 {
		d.format = binary.BigEndian.Uint32(e.value)
	}
	return nil
}
