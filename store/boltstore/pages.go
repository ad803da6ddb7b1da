package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A page of a bbolt file begins with its number (8 bytes), its flags, how many
// elements it has (2 each) and how many pages of the file continue it (4).
// Elements follow. Those of a leaf are flags, place of the key counted from the
// element, length of the key and of the value (4 each), those of a branch place
// and length of the key (4 each) and the number of a page (8). The value of a
// bucket is the number of its first page and a sequence (8 each); where that
// number is 0, the page itself follows. All in the byte order of the machine.
const (
	pageHead     = 16
	elementSize  = 16
	bucketHead   = 16
	branchPage   = 0x01
	leafPage     = 0x02
	freePage     = 0x10
	bucketFlag   = 0x01
	manyFree     = 0xFFFF // the count of a list of free pages that has it elsewhere
	deepest      = 64     // levels of a tree
	firstRecords = 2      // first page that is not a header
)

// Causes of a CorruptError about pages.
var (
	errPage   = errors.New("not such a page")
	errBeyond = errors.New("a page beyond the end")
	errTwice  = errors.New("a page with two uses")
	errDeep   = errors.New("too many levels")
)

// A page is a part of the file with elements.
type page struct {
	offset int64 // in the file
	body   []byte
}

func (p page) flags() uint16 { return binary.NativeEndian.Uint16(p.body[8:]) }
func (p page) count() int    { return int(binary.NativeEndian.Uint16(p.body[10:])) }

// at returns the offset of an element in the file.
func (p page) at(i int) int64 { return p.offset + pageHead + int64(i)*elementSize }

// An element is one of a leaf or a branch.
type element struct {
	key, value []byte // the value of a leaf's
	bucket     bool
	child      uint64 // of a branch's
}

// element returns the i-th one, and false if it does not lie within the page.
func (p page) element(i int) (e element, ok bool) {
	start := pageHead + i*elementSize
	if start+elementSize > len(p.body) {
		return e, false
	}
	field := func(n int) uint64 { return uint64(binary.NativeEndian.Uint32(p.body[start+4*n:])) }
	if p.flags() == branchPage {
		e.child = binary.NativeEndian.Uint64(p.body[start+8:])
		e.key, _, ok = p.cut(start, field(0), field(1), 0)
		return e, ok
	}
	e.bucket = field(0)&bucketFlag != 0
	e.key, e.value, ok = p.cut(start, field(1), field(2), field(3))
	return e, ok && field(0)&^bucketFlag == 0
}

// cut returns a key and the value behind it.
func (p page) cut(start int, pos, key, value uint64) (k, v []byte, ok bool) {
	from := uint64(start) + pos
	if from+key+value > uint64(len(p.body)) {
		return nil, nil, false
	}
	return p.body[from : from+key], p.body[from+key : from+key+value], true
}

// A pageReader reads the pages of a file and notes which are in use.
type pageReader struct {
	file     io.ReaderAt
	pageSize int64
	end      uint64
	used     []bool // by number
}

// newPageReader returns a reader of the pages below end.
func newPageReader(file io.ReaderAt, pageSize int64, end uint64) *pageReader {
	return &pageReader{file: file, pageSize: pageSize, end: end, used: make([]bool, end)}
}

// read returns the page with a number and notes its use.
func (r *pageReader) read(id uint64) (page, error) {
	if err := r.use(id, 0); err != nil {
		return page{}, err
	}
	offset := int64(id) * r.pageSize
	head := make([]byte, pageHead)
	if _, err := r.file.ReadAt(head, offset); err != nil {
		return page{}, corruptAt(offset, err)
	}
	if binary.NativeEndian.Uint64(head) != id {
		return page{}, corruptAt(offset, fmt.Errorf("%w: it calls itself %d", errPage, binary.NativeEndian.Uint64(head)))
	}
	more := uint64(binary.NativeEndian.Uint32(head[12:]))
	for i := range more {
		if err := r.use(id+1+i, id); err != nil {
			return page{}, err
		}
	}
	p := page{offset, make([]byte, (int64(more)+1)*r.pageSize)}
	if _, err := r.file.ReadAt(p.body, offset); err != nil {
		return page{}, corruptAt(offset, err)
	}
	return p, nil
}

// use notes that a page is in use, by the one that it continues or by itself.
func (r *pageReader) use(id, by uint64) error {
	offset := int64(max(by, id)) * r.pageSize
	switch {
	case id < firstRecords || id >= r.end:
		return corruptAt(-1, fmt.Errorf("%w: page %d", errBeyond, id))
	case r.used[id]:
		return corruptAt(offset, fmt.Errorf("%w: page %d", errTwice, id))
	}
	r.used[id] = true
	return nil
}

// free reads the list of free pages that begins at a page and returns how many
// there are.
func (r *pageReader) free(id uint64) (n int64, err error) {
	p, err := r.read(id)
	if err != nil {
		return 0, err
	}
	if p.flags() != freePage {
		return 0, corruptAt(p.offset, fmt.Errorf("%w: flags %#x in the place of the list of free pages", errPage, p.flags()))
	}
	ids := p.body[pageHead:]
	count := uint64(p.count())
	if count == manyFree {
		count, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return 0, corruptAt(p.offset, fmt.Errorf("%w: a list of %d free pages", errBeyond, count))
	}
	for i := range count {
		if err := r.use(binary.NativeEndian.Uint64(ids[8*i:]), id); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// inUse returns how many pages are in use, the headers included.
func (r *pageReader) inUse() (n int64) {
	for _, used := range r.used {
		if used {
			n++
		}
	}
	return n + firstRecords
}
