package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// written returns a node with a space of two origins and the vector after each
// of its changes, the empty one first.
func written(t *testing.T) (n *node.Node, cuts []*merge.VersionVector) {
	t.Helper()
	n, other := open(t), open(t)
	s := n.Space("s")
	cuts = append(cuts, s.Vector())
	for i := range 6 {
		if i%2 == 0 {
			mustUpdate(t, s, add(i))
		} else {
			mustImport(t, other, export(t, s, node.Cut{}))
			mustUpdate(t, other.Space("s"), func(tx *node.Tx) error { return errors.Join(ids.Remove(tx, i-1), ids.Add(tx, i)) })
			mustImport(t, n, export(t, other.Space("s"), node.Cut{}))
		}
		cuts = append(cuts, s.Vector())
	}
	return n, cuts
}

// TestExportAndImportWithCuts carries every range between two cuts.
func TestExportAndImportWithCuts(t *testing.T) {
	from, cuts := written(t)
	for i, since := range cuts {
		for j, until := range cuts[i:] {
			to := open(t)
			mustImport(t, to, export(t, from.Space("s"), node.Cut{Until: since}))
			if !to.Space("s").Vector().Equal(since) {
				t.Fatalf("until %d: vector %v", i, to.Space("s").Vector().Sorted())
			}
			report, err := to.Import(t.Context(), bytes.NewReader(export(t, from.Space("s"), node.Cut{Since: since, Until: until})))
			if err != nil || report.Applied != j || report.Duplicate != 0 {
				t.Errorf("from %d to %d: Import = %+v, %v; want %d applied", i, i+j, report, err, j)
			}
			if !to.Space("s").Vector().Equal(until) {
				t.Errorf("from %d to %d: the vector is not that of the cut", i, i+j)
			}
			mustImport(t, to, export(t, from.Space("s"), node.Cut{Since: until}))
			checkEqual(t, "s", from, to)
		}
	}
	beyond := from.Space("s").Vector()
	beyond.Raise(merge.Dot{Origin: merge.Origin{1}, Seq: 99})
	beyond.Raise(merge.Dot{Origin: from.Origin(), Seq: 99})
	var file bytes.Buffer
	if n, err := from.Space("s").Export(t.Context(), &file, node.Cut{Since: beyond}); n != 0 || err != nil {
		t.Errorf("Export since the future = %d, %v; want nothing", n, err)
	}
	if n, err := from.Space("s").Export(t.Context(), &file, node.Cut{Until: beyond}); n != uint64(len(cuts)-1) || err != nil {
		t.Errorf("Export until the future = %d, %v; want all", n, err)
	}
}

func TestImportTwice(t *testing.T) {
	from, cuts := written(t)
	to := open(t)
	file := export(t, from.Space("s"), node.Cut{})
	mustImport(t, to, file)
	before := to.Space("s").Summary()
	report, err := to.Import(t.Context(), bytes.NewReader(file))
	if want := (node.ImportReport{Space: "s", Duplicate: len(cuts) - 1}); report != want || err != nil {
		t.Errorf("second Import = %+v, %v; want %+v", report, err, want)
	}
	if got := to.Space("s").Summary(); got != before {
		t.Error("a second import changed the space")
	}
	if report, err = from.Import(t.Context(), bytes.NewReader(file)); report.Duplicate != len(cuts)-1 || err != nil {
		t.Errorf("Import of one's own file = %+v, %v; want duplicates", report, err)
	}
}

// TestImportOutOfOrder imports the parts of a history in every order: it is
// incomplete, and says so, until all are there.
func TestImportOutOfOrder(t *testing.T) {
	from, cuts := written(t)
	s := from.Space("s")
	parts := [][]byte{
		export(t, s, node.Cut{Until: cuts[2]}),
		export(t, s, node.Cut{Since: cuts[2], Until: cuts[4]}),
		export(t, s, node.Cut{Since: cuts[4]}),
	}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		to := open(t)
		have := map[int]bool{}
		for _, i := range order {
			have[i] = true
			report, err := to.Import(t.Context(), bytes.NewReader(parts[i]))
			complete := have[0] && (i == 0 || have[1])
			if complete != (err == nil) || err != nil && (!errors.Is(err, node.ErrIncomplete) || report.Waiting == 0) {
				t.Errorf("order %v, part %d: Import = %+v, %v; complete: %v", order, i, report, err, complete)
			}
		}
		checkEqual(t, "s", from, to)
		if got := problems(to); len(got) != 0 {
			t.Errorf("order %v: problems = %v, want none", order, got)
		}
	}
}

// TestImportIsCompleteWhateverElseWaits: other changes of the space wait, those
// of the file do not.
func TestImportIsCompleteWhateverElseWaits(t *testing.T) {
	from, cuts := written(t)
	stranger, to := open(t), open(t)
	mustUpdate(t, stranger.Space("s"), add(100))
	mustImport(t, to, export(t, stranger.Space("s"), node.Cut{}))
	if _, err := to.Import(t.Context(), bytes.NewReader(export(t, from.Space("s"), node.Cut{Since: cuts[2]}))); !errors.Is(err, node.ErrIncomplete) {
		t.Fatalf("Import = %v, want ErrIncomplete", err)
	}
	mustUpdate(t, stranger.Space("s"), add(101))
	report, err := to.Import(t.Context(), bytes.NewReader(export(t, stranger.Space("s"), node.Cut{})))
	if err != nil || report.Applied != 1 {
		t.Errorf("Import = %+v, %v; want the file's change applied and no error", report, err)
	}
}

// TestDamagedFileLeavesAUsableSpace cuts and flips a file at many places: what
// was applied is whole, and the undamaged file completes it.
func TestDamagedFileLeavesAUsableSpace(t *testing.T) {
	from := open(t)
	for i := range 1200 { // some frames
		mustUpdate(t, from.Space("s"), add(i))
	}
	file := export(t, from.Space("s"), node.Cut{})
	step := len(file)/12 + 1
	var damaged [][]byte
	for at := 0; at < len(file); at += step {
		flipped := slices.Clone(file)
		flipped[at] ^= 0x10
		damaged = append(damaged, file[:at], flipped)
	}
	damaged = append(damaged, append(slices.Clone(file), 'x'), file[:len(file)-1])
	for i, d := range damaged {
		to := open(t)
		report, err := to.Import(t.Context(), bytes.NewReader(d))
		if !errors.Is(err, wire.ErrFile) {
			t.Errorf("damage %d: Import = %+v, %v; want a FileError", i, report, err)
		}
		if got := to.Space("s").Summary().Changes; got != uint64(report.Applied) {
			t.Errorf("damage %d: %d changes applied, the report says %d", i, got, report.Applied)
		}
		checkSound(t, to, "s")
		mustUpdate(t, to.Space("s"), add(-1))
		mustImport(t, to, file)
		if got := len(idsOf(t, to.Space("s"))); got != 1201 {
			t.Errorf("damage %d: %d elements after the whole file, want 1201", i, got)
		}
	}
}

func TestImportReturnsTheReadersError(t *testing.T) {
	from, _ := written(t)
	file := export(t, from.Space("s"), node.Cut{})
	to := open(t)
	if _, err := to.Import(t.Context(), iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(file)))); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("Import = %v, want the reader's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := to.Import(ctx, bytes.NewReader(file)); !errors.Is(err, context.Canceled) {
		t.Errorf("Import = %v, want the context's error", err)
	}
	if _, err := from.Space("s").Export(ctx, &bytes.Buffer{}, node.Cut{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Export = %v, want the context's error", err)
	}
}

// TestFramesOfAnotherSpaceAreRefused hides changes of one space in the file of
// another.
func TestFramesOfAnotherSpaceAreRefused(t *testing.T) {
	from, _ := written(t)
	reader, err := wire.NewFileReader(bytes.NewReader(export(t, from.Space("s"), node.Cut{})))
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	header := reader.Header()
	header.Space = "other"
	writer, err := wire.NewFileWriter(&file, header)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all(t, reader.Frames()) {
		if err := writer.Write(f.(*crdtsync.Changes)); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	to := open(t)
	report, err := to.Import(t.Context(), bytes.NewReader(file.Bytes()))
	if err != nil || report.Applied != 0 || uint64(report.Refused) != header.Changes || report.Reason == "" {
		t.Errorf("Import = %+v, %v; want %d refused with a reason", report, err, header.Changes)
	}
	if got := to.Spaces(); len(got) != 0 {
		t.Errorf("spaces = %v, want none", got)
	}
}

// TestExportWhileOthersWrite takes a file of a space that goes on changing: it
// is one closed cut.
func TestExportWhileOthersWrite(t *testing.T) {
	from := open(t)
	s := from.Space("s")
	for i := range 700 {
		mustUpdate(t, s, add(i))
	}
	var file bytes.Buffer
	n, err := s.Export(t.Context(), writerFunc(func(b []byte) (int, error) {
		mustUpdate(t, s, add(int(s.Summary().Changes)))
		return file.Write(b)
	}), node.Cut{})
	if err != nil || n != 700 {
		t.Fatalf("Export = %d, %v; want the 700 changes there were", n, err)
	}
	to := open(t)
	mustImport(t, to, file.Bytes())
	if got := to.Space("s").Summary().Changes; got != 700 {
		t.Errorf("%d changes, want 700", got)
	}
	if s.Summary().Changes <= 700 {
		t.Error("nothing was written meanwhile")
	}
	_, err = s.Export(t.Context(), writerFunc(func([]byte) (int, error) { return 0, errDisk }), node.Cut{})
	if !errors.Is(err, errDisk) {
		t.Errorf("Export = %v, want the writer's error", fmt.Sprint(err))
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
