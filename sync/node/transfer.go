package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// A Cut selects changes of a space for Export. The zero Cut selects all.
type Cut struct {
	// Since leaves out what it contains, nil for nothing.
	Since *merge.VersionVector
	// Until leaves out what it does not contain, nil for nothing. If it is
	// causally closed (a vector some node had), so is the file.
	Until *merge.VersionVector
	// Compress makes the file smaller. Programs older than this option do not read
	// it.
	Compress bool
}

// Bounds of one data frame in a file.
const (
	fileFrameChanges = 512
	fileFrameBytes   = 64 << 10
)

// Export writes the selected changes as a drop file and returns their number.
// The file can be imported anywhere, any number of times. When the log no longer
// holds what the file would begin with, nothing is written and the error is a
// [*crdtsync.TruncatedError]: export less, since a vector that covers
// [Space.Floor], or connect the nodes.
func (s *Space) Export(ctx context.Context, w io.Writer, cut Cut) (n uint64, err error) {
	if s.bad != nil {
		return 0, s.bad
	}
	since := &merge.VersionVector{}
	if cut.Since != nil {
		since = cut.Since.Clone()
	}
	out := crdtsync.NewOutbox(s.name, since, s.limit(cut.Until))
	out.Split(crdtsync.MaxWhole)
	local := locals{s.node}
	if d, gone := s.gone(since); gone {
		return 0, &crdtsync.TruncatedError{Space: s.name, Dot: d}
	}
	total := out.Fill(local)
	file, err := wire.NewFileWriter(w, wire.FileHeader{Space: s.name, Origin: s.node.Origin(), Changes: total})
	if err != nil {
		return 0, err
	}
	if cut.Compress {
		file.Compress()
	}
	for {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		some, err := s.exportSome(file, out, local)
		if err != nil {
			return n, err
		}
		if some == 0 {
			return n, file.Close()
		}
		n += some
	}
}

// exportSome writes the next changes, or the next one if it is large, and returns
// their number.
func (s *Space) exportSome(file *wire.FileWriter, out *crdtsync.Outbox, local locals) (uint64, error) {
	batch, err := out.Take(local, fileFrameChanges, fileFrameBytes)
	if err != nil {
		return 0, err
	}
	if d, _, large := out.Large(); large && len(batch) == 0 {
		if err := s.exportLarge(file, d, local); err != nil {
			return 0, err
		}
		return 1, out.Pass(local)
	}
	if len(batch) == 0 {
		return 0, nil
	}
	return uint64(len(batch)), file.Write(&crdtsync.Changes{Space: s.name, Changes: batch})
}

func (s *Space) exportLarge(file *wire.FileWriter, d merge.Dot, local locals) error {
	raw, err := local.Change(s.name, d)
	if err != nil {
		return err
	}
	for f := range crdtsync.Fragments(s.name, d, raw, 0) {
		if err := file.Write(f); err != nil {
			return err
		}
	}
	return nil
}

// gone returns a change that a file since a vector would begin with and that is
// no longer in the log.
func (s *Space) gone(since *merge.VersionVector) (d merge.Dot, gone bool) {
	for _, d := range s.Floor().Sorted() {
		if seq := since.Get(d.Origin); seq < d.Seq {
			return merge.Dot{Origin: d.Origin, Seq: seq + 1}, true
		}
	}
	return d, false
}

// limit returns the part of what the space has now that until contains.
func (s *Space) limit(until *merge.VersionVector) *merge.VersionVector {
	now := s.Vector()
	if until == nil {
		return now
	}
	v := &merge.VersionVector{}
	for d := range now.Heads() {
		if seq := min(d.Seq, until.Get(d.Origin)); seq > 0 {
			v.Raise(merge.Dot{Origin: d.Origin, Seq: seq})
		}
	}
	return v
}

// An ImportReport is what became of the changes in a drop file.
type ImportReport struct {
	Space     string `json:"space"`
	Applied   int    `json:"applied"`
	Duplicate int    `json:"duplicate"` // had been applied before
	Waiting   int    `json:"waiting"`   // of the space, for others; kept in memory only
	Refused   int    `json:"refused"`   // not taken, now or ever
	// Reason is why the first of the refused changes was refused.
	Reason string `json:"reason,omitempty"`
}

// ErrIncomplete: some changes of a file wait for others. Import or sync what
// they depend on, then import the file again.
var ErrIncomplete = errors.New("node: the file depends on changes that are not here")

// Import applies the changes in a drop file. What was applied before an error
// stays: it is complete in itself.
func (n *Node) Import(ctx context.Context, r io.Reader) (ImportReport, error) {
	file, err := wire.NewFileReader(r)
	if err != nil {
		return ImportReport{}, err
	}
	in := importer{node: n, report: ImportReport{Space: file.Header().Space}}
	err = in.run(ctx, file)
	return in.report, err
}

// importer applies the frames of a file. While the committer applies some, it
// decodes the next; what is under way shares commits.
type importer struct {
	node    *Node
	report  ImportReport
	pending []*offer            // under way, in order
	early   merge.VersionVector // changes that came before what they depend on
	large   []byte              // what has been read of a change in fragments
}

// maxPending bounds the frames that an importer has under way.
const maxPending = 8

func (in *importer) run(ctx context.Context, file *wire.FileReader) error {
	for f, err := range file.Frames() {
		if err == nil {
			err = in.frame(ctx, f)
		}
		if err != nil {
			_ = in.settle(ctx, 0)
			return err
		}
	}
	if err := in.settle(ctx, 0); err != nil {
		return err
	}
	return in.checkComplete()
}

func (in *importer) frame(ctx context.Context, f crdtsync.Frame) error {
	changes := in.changes(f)
	if changes == nil {
		return nil
	}
	if changes.Space != in.report.Space {
		in.report.refuse(len(changes.Changes), fmt.Sprintf("they are of space %q, not of the file's", changes.Space))
		return nil
	}
	offers := make([]crdtsync.Offered, len(changes.Changes))
	for i, raw := range changes.Changes {
		c, err := crdtsync.DecodeChange(raw)
		if err != nil {
			return err
		}
		offers[i] = crdtsync.Offered{Space: changes.Space, Change: c}
	}
	if err := in.settle(ctx, maxPending-1); err != nil {
		return err
	}
	o, err := in.node.startOffer(ctx, offers, nil)
	if err != nil {
		return err
	}
	in.pending = append(in.pending, o)
	return nil
}

// changes returns the changes that a frame carries or completes, nil for none. The
// reader has checked that fragments follow each other and fit their hash.
func (in *importer) changes(f crdtsync.Frame) *crdtsync.Changes {
	switch f := f.(type) {
	case *crdtsync.Changes:
		return f
	case *crdtsync.Fragment:
		in.large = append(in.large, f.Bytes...)
		if uint64(len(in.large)) < f.Size {
			return nil
		}
		raw := in.large
		in.large = nil
		return &crdtsync.Changes{Space: f.Space, Changes: [][]byte{raw}}
	}
	return nil
}

// settle waits until at most left offers are under way, adds the outcome of the
// others to the report and returns their first error.
func (in *importer) settle(ctx context.Context, left int) (err error) {
	for len(in.pending) > left {
		results, failed := in.pending[0].wait(ctx)
		in.pending = in.pending[1:]
		err = cmp.Or(err, failed)
		for _, res := range results {
			in.report.add(res)
			in.early.Merge(&res.early)
		}
	}
	return err
}

func (r *ImportReport) add(res *offerResult) {
	r.Applied += res.applied
	r.Duplicate += res.duplicate
	if len(res.refused) > 0 {
		r.refuse(len(res.refused), res.refused[0].Error())
	}
}

func (r *ImportReport) refuse(n int, reason string) {
	r.Refused += n
	r.Reason = cmp.Or(r.Reason, reason)
}

// checkComplete returns [ErrIncomplete] unless all that came early was applied
// after all.
func (in *importer) checkComplete() error {
	s := in.node.Space(in.report.Space)
	s.mu.RLock()
	defer s.mu.RUnlock()
	waiting, missing := s.core.Waiting()
	in.report.Waiting = waiting
	switch {
	case s.core.Vector().Covers(&in.early):
		return nil
	case waiting == 0:
		return fmt.Errorf("%w, or were refused in their turn: import the file again to see why", ErrIncomplete)
	}
	return fmt.Errorf("%w: %d changes wait, first for %s", ErrIncomplete, waiting, missing)
}
