package replay

import (
	"io"

	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// reorder reads a drop file and writes another to w, with the changes that mix
// makes of its own.
func reorder(w io.Writer, r io.Reader, mix func([][]byte) [][]byte) error {
	in, err := wire.NewFileReader(r)
	if err != nil {
		return err
	}
	var changes [][]byte
	for f, err := range in.Frames() {
		if err != nil {
			return err
		}
		if c, ok := f.(*crdtsync.Changes); ok {
			changes = append(changes, c.Changes...)
		}
	}
	changes = mix(changes)
	header := in.Header()
	header.Changes = uint64(len(changes))
	out, err := wire.NewFileWriter(w, header)
	if err != nil {
		return err
	}
	for len(changes) > 0 {
		n := frameSize(changes)
		if err := out.Write(&crdtsync.Changes{Space: header.Space, Changes: changes[:n]}); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return out.Close()
}

// frameSize returns how many of the changes go into one frame, at least one.
func frameSize(changes [][]byte) int {
	const limit = 128 << 10
	size := 0
	for i, c := range changes {
		if size += len(c); size > limit && i > 0 {
			return i
		}
	}
	return len(changes)
}
