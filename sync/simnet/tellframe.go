package simnet

import (
	"strings"

	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// tellFrame tells about frames that carry changes or ask for them.
func (w *world) tellFrame(n, from *node, how string, f crdtsync.Frame) {
	if w.trace == nil {
		return
	}
	switch f := f.(type) {
	case *crdtsync.Changes:
		w.tell(n, "%s from %s: changes %s of %s", how, from.name(), w.labelsOf(f), f.Space)
	case *crdtsync.Fragment:
		w.tell(n, "%s from %s: %d bytes at %d of %d of change %s of %s", how, from.name(), len(f.Bytes), f.Offset, f.Size, w.label(f.Dot), f.Space)
	case *crdtsync.Partial:
		w.tell(n, "%s from %s: it has %d bytes of change %s of %s", how, from.name(), f.Offset, w.label(f.Dot), f.Space)
	case *crdtsync.SnapshotBegin:
		w.tell(n, "%s from %s: snapshot %d of %s, step %d after %q", how, from.name(), f.Number, f.Space, f.Step, f.After)
	case *crdtsync.SnapshotChunk:
		w.tell(n, "%s from %s: snapshot %d, chunk %d: %d cells, %d heads", how, from.name(), f.Number, f.Chunk, len(f.Parts), len(f.Heads))
	case *crdtsync.SnapshotNamed:
		w.tell(n, "%s from %s: snapshot %d, chunk %d: %d absent cells and %d others, named", how, from.name(), f.Number, f.Chunk, len(f.Gone), len(f.Held))
	case *crdtsync.Spell:
		w.tell(n, "%s from %s: spell cells of %s", how, from.name(), f.Space)
	case *crdtsync.SnapshotEnd:
		w.tell(n, "%s from %s: snapshot %d ends after %d chunks", how, from.name(), f.Number, f.Chunks)
	case *crdtsync.Subscribe:
		var has []string
		for _, d := range f.Vector.Sorted() {
			has = append(has, w.label(d))
		}
		w.tell(n, "%s from %s: subscribe to %s, which has [%s]", how, from.name(), f.Space, strings.Join(has, " "))
	}
}

func (w *world) labelsOf(f *crdtsync.Changes) string {
	var labels []string
	for _, raw := range f.Changes {
		if h, err := crdtsync.ReadHeader(raw); err == nil {
			labels = append(labels, w.label(h.Dot))
		}
	}
	return strings.Join(labels, " ")
}
