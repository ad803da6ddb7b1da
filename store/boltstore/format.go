package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"io"
	"os"

	"github.com/joinery-crdt/joinery/store"
	"go.etcd.io/bbolt"
)

// formatVersion is the version of the format that this package writes.
const formatVersion = 1

// The record of the format's version: four bytes, big-endian, and their
// CRC-32C. It is the same in all versions.
var (
	formatBucket = []byte("joinery")
	formatKey    = []byte("format")
)

// initialise writes an empty store to a new file.
func initialise(file string) error {
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(formatBucket)
		if err != nil {
			return err
		}
		return b.Put(formatKey, formatRecord(formatVersion))
	})
	return errors.Join(err, db.Close())
}

// formatRecord returns the record of a version.
func formatRecord(version uint32) []byte {
	v := binary.BigEndian.AppendUint32(nil, version)
	return binary.BigEndian.AppendUint32(v, crc32.Checksum(v, castagnoli))
}

// checkFormat checks that the file is a store of this version.
func checkFormat(tx *bbolt.Tx, path string) (err error) {
	defer guard(nil, &err)
	b := tx.Bucket(formatBucket)
	if b == nil {
		return &store.ForeignError{Path: path, Have: "a bbolt file of another program", Kind: store.ErrForeign}
	}
	v := b.Get(formatKey)
	if len(v) != 8 || crc32.Checksum(v[:4], castagnoli) != binary.BigEndian.Uint32(v[4:]) {
		return corrupt(nil, fmt.Errorf("format record: %w", errChecksum))
	}
	version := binary.BigEndian.Uint32(v)
	if version < formatVersion {
		return corrupt(nil, fmt.Errorf("format version %d was never in use", version))
	}
	return checkVersion(version, path)
}

// checkVersion returns an error about a version above this one.
func checkVersion(version uint32, path string) error {
	if version <= formatVersion {
		return nil
	}
	return &store.ForeignError{Path: path, Have: fmt.Sprintf("format version %d, newer than %d", version, formatVersion), Kind: store.ErrNewer}
}

// A bbolt file begins with two header pages, written in turns: page 0 at even
// transactions, page 1 at odd ones. Each has, behind 16 bytes of page header,
// magic, version, page size and flags (4 bytes each), root, sequence,
// freelist, end of the used pages, transaction (8 each), and an FNV-1a of
// those, in the byte order of the machine.
const (
	headerStart = 16
	headerSize  = 64
	boltMagic   = 0xED0CDAED
)

// A header is what a header page says.
type header struct {
	pageSize    int64  // bytes
	root        uint64 // first page of the directory of buckets
	freelist    uint64 // first page of the list of free pages
	end         uint64 // end of the used pages
	transaction uint64
}

// Bounds of the size of a page, in bytes.
const (
	minPage = 512
	maxPage = 1 << 20
)

// checkHeader checks both header pages and the length of the file. bbolt is
// content with one sound page and would silently go back to the commit before.
// A crash cannot leave one half written: a header lies within one disk sector.
func checkHeader(f *os.File, pageSize int64) error {
	for page := range int64(2) {
		h, err := readHeader(f, page*pageSize)
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err != nil {
			return wrap("stat", err)
		}
		if info.Size() < int64(h.end)*pageSize {
			return corruptAt(info.Size(), fmt.Errorf("the file is cut off; page %d is the end", h.end))
		}
	}
	return nil
}

// readHeader checks and returns the header at offset.
func readHeader(f io.ReaderAt, offset int64) (header, error) {
	var h [headerSize]byte
	if _, err := f.ReadAt(h[:], offset+headerStart); err != nil {
		return header{}, corruptAt(offset, err)
	}
	if binary.NativeEndian.Uint32(h[:]) != boltMagic {
		return header{}, corruptAt(offset, errors.New("no header"))
	}
	sum := fnv.New64a()
	sum.Write(h[:headerSize-8])
	if sum.Sum64() != binary.NativeEndian.Uint64(h[headerSize-8:]) {
		return header{}, corruptAt(offset, fmt.Errorf("header: %w", errChecksum))
	}
	field := func(i int) uint64 { return binary.NativeEndian.Uint64(h[i:]) }
	size := int64(binary.NativeEndian.Uint32(h[8:]))
	if size < minPage || size > maxPage {
		return header{}, corruptAt(offset, fmt.Errorf("header: pages of %d bytes", size))
	}
	return header{pageSize: size, root: field(16), freelist: field(32), end: field(40), transaction: field(48)}, nil
}

// inspect says what is wrong with a file that bbolt does not open, nil if its
// headers are sound.
func inspect(path, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return wrap("open", err)
	}
	defer f.Close()
	pageSize := int64(os.Getpagesize())
	if !isBolt(f, 0) && !isBolt(f, pageSize) {
		return &store.ForeignError{Path: path, Have: "a " + fileName + " that is no bbolt file", Kind: store.ErrForeign}
	}
	return checkHeader(f, pageSize)
}

// isBolt reports whether there is the start of a header page at offset.
func isBolt(f io.ReaderAt, offset int64) bool {
	var magic [4]byte
	_, err := f.ReadAt(magic[:], offset+headerStart)
	return err == nil && binary.NativeEndian.Uint32(magic[:]) == boltMagic
}

// corruptAt returns the error about a place in the file.
func corruptAt(offset int64, err error) error {
	return &store.CorruptError{Offset: offset, Err: err}
}
