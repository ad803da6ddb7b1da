package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A drop file is frames on any byte stream: a line with its format and version,
// records, and an end record. A record is
//
//	length of the frame as a minimal varint | frame | CRC-32C of the frame, big-endian
//
// The first record holds a FileHeader, the last the number of records before it
// and the SHA-256 of all bytes before it.
const (
	fileMagic   = "joinery drop file "
	fileVersion = 1
	crcSize     = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A FileHeader says what a drop file holds.
type FileHeader struct {
	Space   string
	Origin  merge.Origin // of the node that wrote the file
	Changes uint64       // in all Changes frames of the file
}

// ErrFile is the kind of every [*FileError].
var ErrFile = errors.New("wire: bad drop file")

// A FileError reports a drop file that cannot be read to its end, or written.
type FileError struct {
	Offset  int64 // of the record or line concerned, in bytes
	Problem string
}

// Error says what is wrong where, and what to do.
func (e *FileError) Error() string {
	return fmt.Sprintf("wire: drop file, at byte %d: %s", e.Offset, e.Problem)
}

// Is makes a FileError match [ErrFile].
func (e *FileError) Is(target error) bool { return target == ErrFile }

type fileHeader struct {
	Space   string `cbor:"1,keyasint"`
	Origin  []byte `cbor:"2,keyasint"`
	Changes uint64 `cbor:"3,keyasint"`
}

func (b *fileHeader) check() error {
	if err := checkSpace(b.Space); err != nil {
		return err
	}
	return checkOrigin(b.Origin)
}

type fileEnd struct {
	Records uint64 `cbor:"1,keyasint"`
	Sum     []byte `cbor:"2,keyasint"`
}

func (b *fileEnd) check() error {
	if len(b.Sum) != sha256.Size {
		return fmt.Errorf("a hash of %d bytes", len(b.Sum))
	}
	return nil
}

// A FileWriter writes a drop file. It makes one call of Write per record and
// does not buffer. After an error it is unusable, and so is what it wrote.
type FileWriter struct {
	w             io.Writer
	sum           hash.Hash
	offset        int64
	records       uint64
	left          uint64 // changes that the header announced and are to come
	parts         fragments
	compress      bool
	frame, record []byte // scratch
}

// NewFileWriter begins a drop file on w. The header's number of changes must be
// kept to.
func NewFileWriter(w io.Writer, h FileHeader) (*FileWriter, error) {
	f := &FileWriter{w: w, sum: sha256.New(), left: h.Changes}
	if err := f.write(fmt.Appendf(nil, "%s%d\n", fileMagic, fileVersion)); err != nil {
		return nil, err
	}
	header := &fileHeader{h.Space, h.Origin[:], h.Changes}
	frame, err := appendBody(nil, typeFileHeader, header, MaxFrame)
	if err != nil {
		return nil, err
	}
	return f, f.writeRecord(frame)
}

// Compress makes Write compress frames where that pays. Programs older than
// this option do not read such a file.
func (f *FileWriter) Compress() { f.compress = true }

// Write adds a frame, which it does not retain: of Changes as many as the header
// said, in an order in which they can be applied. Readers skip other frames.
func (f *FileWriter) Write(frame crdtsync.Frame) (err error) {
	n, err := f.parts.count(frame)
	switch {
	case err != nil:
		return &FileError{f.offset, err.Error() + ": export again"}
	case n > f.left:
		return &FileError{f.offset, "more changes than its header says: export again"}
	}
	f.left -= n
	if f.frame, err = Append(f.frame[:0], frame); err != nil {
		return err
	}
	if f.compress {
		return f.writeRecord(Compress(f.frame))
	}
	return f.writeRecord(f.frame)
}

// Close completes the file. It does not close the writer below.
func (f *FileWriter) Close() error {
	if f.left > 0 || f.parts.at > 0 {
		return &FileError{f.offset, fmt.Sprintf("%d changes fewer than its header says: export again", f.left)}
	}
	frame, err := appendBody(f.frame[:0], typeFileEnd, &fileEnd{f.records, f.sum.Sum(nil)}, MaxFrame)
	if err != nil {
		return err
	}
	return f.writeRecord(frame)
}

func (f *FileWriter) writeRecord(frame []byte) error {
	f.record = binary.AppendUvarint(f.record[:0], uint64(len(frame)))
	f.record = append(f.record, frame...)
	f.record = binary.BigEndian.AppendUint32(f.record, crc32.Checksum(frame, castagnoli))
	f.records++
	return f.write(f.record)
}

func (f *FileWriter) write(b []byte) error {
	n, err := f.w.Write(b)
	f.offset += int64(n)
	f.sum.Write(b)
	if err != nil {
		return fmt.Errorf("wire: drop file: %w", err)
	}
	return nil
}
