package simnet

import (
	"strings"

	"github.com/joinery-crdt/joinery/merge"
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
		w.tell(n, "%s from %s: %s of snapshot %d of %s", how, from.name(), snapshotStep(f), f.Number, f.Space)
	case *crdtsync.SnapshotChunk:
		w.tell(n, "%s from %s: snapshot %d, chunk %d: %d cells, %d heads", how, from.name(), f.Number, f.Chunk, len(f.Parts), len(f.Heads))
	case *crdtsync.SnapshotNamed:
		w.tell(n, "%s from %s: snapshot %d, chunk %d: %d absent cells and %d others, named", how, from.name(), f.Number, f.Chunk, len(f.Gone), len(f.Held))
	case *crdtsync.Spell:
		w.tell(n, "%s from %s: spell cells of %s", how, from.name(), f.Space)
	case *crdtsync.SnapshotEnd:
		w.tell(n, "%s from %s: snapshot %d ends after %d chunks", how, from.name(), f.Number, f.Chunks)
	case *crdtsync.Subscribe:
		w.tell(n, "%s from %s: subscribe to %s, of which it has [%s]", how, from.name(), f.Space, w.dots(f.Vector.Sorted()))
	case *crdtsync.Ack:
		w.tell(n, "%s from %s: acknowledges [%s] of %s, at %d changes", how, from.name(), w.dots(f.Heads), f.Space, f.Position)
	case *crdtsync.Need:
		w.tell(n, "%s from %s: needs [%s] of %s", how, from.name(), w.ranges(f.Ranges), f.Space)
	default:
		w.tellControl(n, from, how, f)
	}
}

// tellControl tells about frames of cursors, forks and members.
func (w *world) tellControl(n, from *node, how string, f crdtsync.Frame) {
	switch f := f.(type) {
	case *crdtsync.Resume:
		w.tell(n, "%s from %s: go on in %s after the first %d changes", how, from.name(), f.Space, f.Cursor.Position)
	case *crdtsync.Rewind:
		w.tell(n, "%s from %s: does not know that cut of %s", how, from.name(), f.Space)
	case *crdtsync.Prune:
		w.tell(n, "%s from %s: has %s from elsewhere", how, from.name(), f.Space)
	case *crdtsync.Forked:
		if h, err := crdtsync.ReadHeader(f.Change); err == nil {
			w.tell(n, "%s from %s: one of two changes that are called %s in %s", how, from.name(), w.label(h.Dot), f.Space)
		}
	case *crdtsync.Members:
		for _, m := range f.Members {
			w.tell(n, "%s from %s: of %s in %s: common cut of %d changes and [%s], retired %v",
				how, from.name(), w.labels[m.Origin], f.Space, m.Common.Position, w.dots(m.Beyond.Sorted()), m.Retired())
		}
	}
}

func (w *world) dots(dots []merge.Dot) string {
	labels := make([]string, len(dots))
	for i, d := range dots {
		labels[i] = w.label(d)
	}
	return strings.Join(labels, " ")
}

func (w *world) ranges(ranges []crdtsync.Range) string {
	labels := make([]string, len(ranges))
	for i, r := range ranges {
		labels[i] = w.label(merge.Dot{Origin: r.Origin, Seq: r.First}) + "-" + w.label(merge.Dot{Origin: r.Origin, Seq: r.Last})
	}
	return strings.Join(labels, " ")
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

// snapshotStep says what a step of a snapshot is.
func snapshotStep(f *crdtsync.SnapshotBegin) string {
	name := [...]string{"an offer", "the request", "the beginning", "a part begins"}[min(int(f.Step), 3)]
	if f.After != "" {
		name += ", going on where it was left,"
	}
	return name
}
