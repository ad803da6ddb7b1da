package wire

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

const (
	copyAgain   = "copy the file again, or export it again"
	writeBroken = "the program that wrote it is broken, export it with another version"
)

// A FileReader reads a drop file. It holds one frame at a time.
type FileReader struct {
	in      *bufio.Reader
	sum     hash.Hash
	offset  int64 // of the record being read
	records uint64
	changes uint64
	parts   fragments
	header  FileHeader
	record  []byte // scratch
}

// NewFileReader reads the beginning of a drop file. What is no drop file, or one
// of a newer version, is a [*FileError]; other errors come from r. It may read
// beyond the end of the file, where nothing may follow.
func NewFileReader(r io.Reader) (*FileReader, error) {
	f := &FileReader{in: bufio.NewReader(r), sum: sha256.New()}
	if err := f.readMagic(); err != nil {
		return nil, err
	}
	if err := f.readHeader(); err != nil {
		return nil, err
	}
	return f, nil
}

// Header returns what the file says it holds.
func (f *FileReader) Header() FileHeader { return f.header }

// Frames yields the frames of the file, which are the caller's, and at most one
// error, last. Call it once. Every frame that it yields is as it was written,
// but only a sequence that ends without an error was the whole file.
func (f *FileReader) Frames() iter.Seq2[crdtsync.Frame, error] {
	return func(yield func(crdtsync.Frame, error) bool) {
		for {
			frame, err := f.next()
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(nil, err)
				return
			case frame != nil && !yield(frame, nil):
				return
			}
		}
	}
}

// next returns the next frame, nil for one to be skipped, or io.EOF after the
// end record.
func (f *FileReader) next() (crdtsync.Frame, error) {
	b, err := f.readRecord()
	if err != nil {
		return nil, err
	}
	if Type(b[0]) == typeFileEnd {
		return nil, f.finish(b)
	}
	f.accept()
	frame, err := Decode(b)
	if err != nil {
		return nil, f.fail("%v: %s", err, writeBroken)
	}
	n, err := f.parts.count(frame)
	if err != nil {
		return nil, f.fail("%v: %s", err, writeBroken)
	}
	f.changes += n
	f.offset += int64(len(f.record))
	return frame, nil
}

// accept counts the record that was read among those before the end record.
func (f *FileReader) accept() {
	f.sum.Write(f.record)
	f.records++
}

func (f *FileReader) fail(format string, args ...any) error {
	return &FileError{f.offset, fmt.Sprintf(format, args...)}
}

// cut reports a file that ends early, or an error of the reader below.
func (f *FileReader) cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return f.fail("the file ends early: %s", copyAgain)
	}
	return fmt.Errorf("wire: drop file: %w", err)
}

func (f *FileReader) readMagic() error {
	line, err := f.in.ReadSlice('\n')
	version, whole := strings.CutPrefix(string(line), fileMagic)
	begins := whole || strings.HasPrefix(fileMagic, string(line))
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull):
		return f.cut(err)
	case !begins || errors.Is(err, bufio.ErrBufferFull):
		return f.fail("not a drop file: choose one that an export has written")
	case err != nil:
		return f.cut(err)
	}
	if err := f.checkVersion(strings.TrimSuffix(version, "\n")); err != nil {
		return err
	}
	f.sum.Write(line)
	f.offset += int64(len(line))
	return nil
}

func (f *FileReader) checkVersion(s string) error {
	n, err := strconv.ParseUint(s, 10, 32)
	switch {
	case err != nil || strconv.FormatUint(n, 10) != s || n < fileVersion:
		return f.fail("version %.20q never existed: %s", s, copyAgain)
	case n > fileVersion:
		return f.fail("version %d, this program reads version %d: upgrade it", n, fileVersion)
	}
	return nil
}

func (f *FileReader) readHeader() error {
	b, err := f.readRecord()
	if err != nil {
		return err
	}
	var h fileHeader
	if err := f.readBody(b, typeFileHeader, &h); err != nil {
		return err
	}
	f.accept()
	f.offset += int64(len(f.record))
	f.header = FileHeader{h.Space, merge.Origin(h.Origin), h.Changes}
	return nil
}

// readBody reads a frame that stands in files only.
func (f *FileReader) readBody(b []byte, want Type, into body) error {
	t, raw, err := splitFrame(b, MaxFrame)
	if err == nil && t != want {
		err = &FrameError{t, "in the place of " + want.String()}
	}
	if err == nil {
		err = decodeBody(t, b, raw, into, MaxFrame)
	}
	if err != nil {
		return f.fail("%v: %s", err, writeBroken)
	}
	return nil
}

// readRecord returns the frame of the next record, valid until the next call,
// and leaves the whole record in f.record.
func (f *FileReader) readRecord() ([]byte, error) {
	prefix, length, err := f.peekLength()
	if err != nil {
		return nil, err
	}
	if need := prefix + length + crcSize; cap(f.record) < need {
		f.record = make([]byte, need)
	} else {
		f.record = f.record[:need]
	}
	if _, err := io.ReadFull(f.in, f.record); err != nil {
		return nil, f.cut(err)
	}
	frame, crc := f.record[prefix:prefix+length], f.record[prefix+length:]
	if crc32.Checksum(frame, castagnoli) != binary.BigEndian.Uint32(crc) {
		return nil, f.fail("damaged record: %s", copyAgain)
	}
	return frame, nil
}

// peekLength reads the length of a frame without consuming it, and the number
// of bytes it takes.
func (f *FileReader) peekLength() (prefix, length int, err error) {
	b, err := f.in.Peek(3)
	n, prefix := binary.Uvarint(b)
	switch {
	case prefix == 0 && len(b) < 3:
		return 0, 0, f.cut(err)
	case prefix <= 0 || prefix > 1 && b[prefix-1] == 0 || n < headerSize || n > MaxFrame:
		return 0, 0, f.fail("damaged length of a record: %s", copyAgain)
	}
	return prefix, int(n), nil
}

// finish checks the end record b against what was read, and returns io.EOF.
func (f *FileReader) finish(b []byte) error {
	var end fileEnd
	if err := f.readBody(b, typeFileEnd, &end); err != nil {
		return err
	}
	switch {
	case end.Records != f.records || !bytes.Equal(end.Sum, f.sum.Sum(nil)):
		return f.fail("the end record does not fit what is before it: %s", copyAgain)
	case f.parts.at > 0:
		return f.fail("change %s is not whole: %s", f.parts.of, writeBroken)
	case f.changes != f.header.Changes:
		return f.fail("%d changes, its header says %d: %s", f.changes, f.header.Changes, writeBroken)
	}
	f.offset += int64(len(f.record))
	switch _, err := f.in.ReadByte(); {
	case err == nil:
		return f.fail("something follows the end record: %s", copyAgain)
	case errors.Is(err, io.EOF):
		return io.EOF
	default:
		return f.cut(err)
	}
}
