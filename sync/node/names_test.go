package node_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// said counts what crossed a connection of the cells of snapshots.
type said struct {
	mu                     sync.Mutex
	keys                   []string
	named, spelled, begins int // names, frames, beginnings of parts
}

// noting is one end of a connection, whose sent frames are noted.
type noting struct {
	wire.Conn
	said *said
}

func (c noting) Send(ctx context.Context, frame []byte) error {
	f, err := wire.Decode(frame)
	c.said.mu.Lock()
	switch f := f.(type) {
	case *crdtsync.SnapshotNamed:
		c.said.named += len(f.Gone) + len(f.Held)
	case *crdtsync.SnapshotChunk:
		for _, p := range f.Parts {
			if !strings.HasPrefix(p.Key, "once") && !slices.Contains(c.said.keys, p.Key) { // what C wrote comes back
				c.said.keys = append(c.said.keys, p.Key)
			}
		}
	case *crdtsync.Spell:
		c.said.spelled++
	case *crdtsync.SnapshotBegin:
		if f.Step == crdtsync.SnapshotPart {
			c.said.begins++
		}
	}
	c.said.mu.Unlock()
	return errors.Join(err, c.Conn.Send(ctx, frame))
}

// unnamed is one end of a connection of a node that does not say that it knows
// names of cells.
type unnamed struct{ wire.Conn }

func (c unnamed) Send(ctx context.Context, frame []byte) error {
	f, err := wire.Decode(frame)
	if h, ok := f.(*crdtsync.Hello); ok {
		h.Features = slices.DeleteFunc(h.Features, func(name string) bool { return name == crdtsync.FeatureNames })
		frame, err = wire.Append(nil, h)
	}
	return errors.Join(err, c.Conn.Send(ctx, frame))
}

// A parted is a history of a space in which C was away for a part of it.
type parted struct {
	name   string
	before func(tx *node.Tx) error   // at A, and C gets it
	also   func(tx *node.Tx) error   // at C, at the same time
	after  []func(tx *node.Tx) error // at A, while C is away
	keys   int                       // cells without a name
}

func parts() []parted {
	fields := node.ORMap[string]("fields")
	text := object.At(fields, "title", object.NewLWWRegister[string])
	votes := object.At(fields, "votes", object.NewORSet[int])
	return []parted{
		{name: "some of the cells of a transaction", before: add(1, 2, 3, 4, 5), after: some(remove(2), remove(4, 5))},
		{name: "two adds in one cell", before: add(1, 2), also: add(2, 3), after: some(remove(2, 3))},
		{name: "added again and removed", before: add(1, 2), after: some(remove(2), add(2), remove(2))},
		{name: "added twice and removed", before: add(1, 2), after: some(add(2), remove(2))},
		{name: "added again", before: add(1, 2), after: some(add(2))},
		{name: "a large value", before: setTitle("a"), after: some(setTitle(large), add(1)), keys: 2},
		{name: "values for several frames", before: setTitles("a"), after: some(setTitles(large[:20_000]))},
		{name: "a register", before: setTitle("a"), after: some(setTitle("b"), setTitle("c"))},
		{
			name:   "fields of a map",
			before: func(tx *node.Tx) error { return errors.Join(text.Set(tx, "a"), votes.Add(tx, 1), votes.Add(tx, 2)) },
			after:  some(func(tx *node.Tx) error { return errors.Join(text.Set(tx, "b"), votes.Remove(tx, 1)) }),
		},
		{
			name: "kinds that supersede nothing", before: func(tx *node.Tx) error { return likes.Add(tx, 1) },
			after: some(func(tx *node.Tx) error { return errors.Join(likes.Add(tx, 2), paths.Add(tx, "/")) }), keys: 2,
		},
	}
}

func some(fns ...func(tx *node.Tx) error) []func(tx *node.Tx) error { return fns }

// large does not fit into one chunk.
var large = strings.Repeat("large ", 10_000)

func setTitles(s string) func(tx *node.Tx) error {
	return func(tx *node.Tx) (err error) {
		for i := range 6 {
			err = errors.Join(err, node.LWW[string](fmt.Sprint("title ", i)).Set(tx, s))
		}
		return err
	}
}

func setTitle(s string) func(tx *node.Tx) error {
	return func(tx *node.Tx) error { return title.Set(tx, s) }
}

// meetNoting connects two nodes for a while, the second behind wrap if it is not
// nil, and returns what they said of cells.
func meetNoting(t *testing.T, a, b *node.Node, wrap func(wire.Conn) wire.Conn) (fromA, fromB *said) {
	t.Helper()
	near, far := wire.Pipe()
	fromA, fromB = &said{}, &said{}
	if wrap != nil {
		far = wrap(far)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	go func() { _ = a.Serve(ctx, noting{near, fromA}); done <- struct{}{} }()
	go func() { _ = b.Serve(ctx, noting{far, fromB}); done <- struct{}{} }()
	time.Sleep(time.Minute)
	cancel()
	<-done
	<-done
	return fromA, fromB
}

// play has C miss what happens after, and truncates the log of A up to horizon,
// or the whole log.
func (p parted) play(t *testing.T, horizon func(before *merge.VersionVector) *merge.VersionVector) (a, c *node.Node) {
	t.Helper()
	a, c = open(t), open(t)
	atA, atC := a.Space("notes"), c.Space("notes")
	mustUpdate(t, atA, p.before)
	if p.also != nil {
		mustUpdate(t, atC, p.also)
	}
	meet(t, a, c, time.Minute)
	before := atA.Vector()
	for _, fn := range p.after {
		mustUpdate(t, atA, fn)
	}
	h := node.Horizon{Log: atA.Vector()}
	if horizon != nil {
		h.Log = horizon(before)
	}
	if err := atA.Truncate(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	mustUpdate(t, atC, func(tx *node.Tx) error { return once.Add(tx, "kept") })
	return a, c
}

// checkKept checks that the nodes hold the same bytes, with what C wrote.
func checkKept(t *testing.T, a, c *node.Node) {
	t.Helper()
	checkEqual(t, "notes", a, c)
	mustView(t, a.Space("notes"), func(v *node.View) error {
		if has, err := once.Has(v, "kept"); !has || err != nil {
			t.Errorf("A has what C wrote: %t, %v", has, err)
		}
		return nil
	})
}

// eachPart runs a test of each history in a bubble of its own.
func eachPart(t *testing.T, test func(t *testing.T, p parted)) {
	for _, p := range parts() {
		t.Run(p.name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, p) }) })
	}
}

// checkNamed checks that A began at most so many parts, and what it named.
func (p parted) checkNamed(t *testing.T, fromA, fromC *said, most int) {
	t.Helper()
	if len(fromA.keys) != p.keys || (fromA.named > 0) != (p.keys == 0) || fromA.begins < 1 || fromA.begins > most || fromC.spelled != 0 {
		t.Errorf("A began %d snapshots with %d named cells and %q, C spelled %d times; want at most %d, names or %d, 0", fromA.begins, fromA.named, fromA.keys, fromC.spelled, most, p.keys)
	}
}

// TestPartsAreNamed: cells whose ops C knows come under the names of those, and
// no others do.
func TestPartsAreNamed(t *testing.T) {
	eachPart(t, func(t *testing.T, p parted) {
		a, c := p.play(t, nil)
		fromA, fromC := meetNoting(t, a, c, nil)
		p.checkNamed(t, fromA, fromC, 1)
		checkKept(t, a, c)
	})
}

// TestPartsAreNamedFromLogs: a part of what C lacks is still in the log of A.
func TestPartsAreNamedFromLogs(t *testing.T) {
	eachPart(t, func(t *testing.T, p parted) {
		a, c := p.play(t, func(before *merge.VersionVector) *merge.VersionVector {
			for _, d := range before.Sorted() {
				before.Raise(merge.Dot{Origin: d.Origin, Seq: d.Seq + 1})
			}
			return before
		})
		fromA, fromC := meetNoting(t, a, c, nil)
		p.checkNamed(t, fromA, fromC, 1)
		checkKept(t, a, c)
	})
}

// TestPartsForTruncated: C knows from stubs what the names mean.
func TestPartsForTruncated(t *testing.T) {
	eachPart(t, func(t *testing.T, p parted) {
		a, c := p.play(t, nil)
		truncate(t, c.Space("notes"), false)
		fromA, fromC := meetNoting(t, a, c, nil)
		p.checkNamed(t, fromA, fromC, 2) // that of C may come between
		checkKept(t, a, c)
	})
}

// TestPartsForForgetful: C says that the names mean nothing to it, and gets keys.
func TestPartsForForgetful(t *testing.T) {
	eachPart(t, func(t *testing.T, p parted) {
		a, c := p.play(t, nil)
		truncate(t, c.Space("notes"), true)
		fromA, fromC := meetNoting(t, a, c, nil)
		if p.keys == 0 && (fromC.spelled == 0 || fromC.spelled > 2 || len(fromA.keys) == 0) {
			t.Errorf("C spelled %d times, A sent keys %q; want 1, or 2 if A was at the next part then, and some", fromC.spelled, fromA.keys)
		}
		checkKept(t, a, c)
	})
}

// TestPartsWithoutNames: a node that does not know names gets keys, and nothing of
// the feature.
func TestPartsWithoutNames(t *testing.T) {
	eachPart(t, func(t *testing.T, p parted) {
		a, c := p.play(t, nil)
		fromA, fromC := meetNoting(t, a, c, func(conn wire.Conn) wire.Conn { return unnamed{conn} })
		if fromA.named != 0 || fromC.spelled != 0 || fromA.begins != 1 || len(fromA.keys) == 0 {
			t.Errorf("A began %d snapshots with %d named cells and %d others, C spelled %d times; want 1, 0, some, 0", fromA.begins, fromA.named, len(fromA.keys), fromC.spelled)
		}
		checkKept(t, a, c)
	})
}

// TestHostileNames: of names that say nothing, or not what their sender checked,
// nothing is taken. The node asks for keys, at last of all cells.
func TestHostileNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := open(t)
		notes := n.Space("notes")
		mustUpdate(t, notes, add(1, 2, 3))
		mustUpdate(t, notes, remove(3))
		mine := merge.Dot{Origin: n.Origin(), Seq: 1}
		keys := keysIn(t, n, "notes")
		name := func(d merge.Dot, op uint64) []crdtsync.OpName { return []crdtsync.OpName{{Dot: d, Op: op}} }
		for what, f := range map[string]*crdtsync.SnapshotNamed{
			"a change it does not have":     {Gone: name(merge.Dot{Origin: mine.Origin, Seq: 3}, 0), Check: crdtsync.CheckKeys(keys[:1])},
			"a change far away":             {Gone: name(merge.Dot{Origin: mine.Origin, Seq: merge.MaxSeq}, 0), Check: crdtsync.CheckKeys(keys[:1])},
			"an origin it does not know":    {Gone: name(merge.Dot{Origin: merge.Origin{7}, Seq: 1}, 0), Check: crdtsync.CheckKeys(keys[:1])},
			"an op that a change has not":   {Gone: name(mine, 3), Check: crdtsync.CheckKeys(keys[:1])},
			"a number beyond all":           {Gone: name(mine, crdtsync.MaxChange), Check: crdtsync.CheckKeys(keys[:1])},
			"another cell of the change":    {Gone: name(mine, 1), Check: crdtsync.CheckKeys(keys[:1])},
			"no cell, and a check of none":  {Gone: name(mine, 3), Check: crdtsync.CheckKeys([]string{""})},
			"one cell that is, one that is": {Gone: append(name(mine, 0), name(mine, 9)...), Check: crdtsync.CheckKeys(keys[:1])},
		} {
			p := introduced(t, n)
			f.Space, f.Number = "notes", 1
			begin := &crdtsync.SnapshotBegin{Space: "notes", Number: 1, Step: crdtsync.SnapshotPart, Vector: notes.Vector()}
			for range 2 {
				p.send(begin, f, &crdtsync.SnapshotEnd{Space: "notes", Number: 1, Chunks: 1})
				if s := hear[*crdtsync.Spell](p); !s.Vector.Equal(notes.Vector()) {
					t.Errorf("%s: the node spells %v, want all", what, s.Vector.Sorted())
				}
				if s := hear[*crdtsync.Subscribe](p); !s.Vector.Equal(notes.Vector()) {
					t.Errorf("%s: the node then asks for what is after %v", what, s.Vector.Sorted())
				}
			}
			p.drain()
			synctest.Wait()
			wantIDs(t, what, notes, 1, 2)
		}
		checkSound(t, n, "notes")
	})
}

// TestSpellEnds: a node that has forgotten something says that first, and if names
// still mean nothing it takes no more of them.
func TestSpellEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := open(t)
		notes := n.Space("notes")
		mustUpdate(t, notes, add(1))
		truncate(t, notes, true)
		forgotten := notes.Vector()
		mustUpdate(t, notes, add(2))
		p := introduced(t, n)
		for number, want := range []*merge.VersionVector{forgotten, notes.Vector(), notes.Vector()} {
			f := &crdtsync.SnapshotNamed{Space: "notes", Number: uint64(number)}
			f.Gone = []crdtsync.OpName{{Dot: merge.Dot{Origin: n.Origin(), Seq: 2}}}
			p.send(&crdtsync.SnapshotBegin{Space: "notes", Number: f.Number, Step: crdtsync.SnapshotPart, Vector: notes.Vector()}, f)
			if s := hear[*crdtsync.Spell](p); !s.Vector.Equal(want) {
				t.Errorf("for the names of sending %d the node spells %v, want %v", number, s.Vector.Sorted(), want.Sorted())
			}
		}
		p.drain()
	})
}

// TestNamesOutOfPlace: names are taken in a part that has begun, in their turn,
// and nowhere else.
func TestNamesOutOfPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := open(t)
		notes := n.Space("notes")
		mustUpdate(t, notes, add(1, 2))
		keys := keysIn(t, n, "notes")
		named := func(number, chunk uint64) *crdtsync.SnapshotNamed {
			f := &crdtsync.SnapshotNamed{Space: "notes", Number: number, Chunk: chunk, Check: crdtsync.CheckKeys(keys[:1])}
			f.Gone = []crdtsync.OpName{{Dot: merge.Dot{Origin: n.Origin(), Seq: 1}}}
			return f
		}
		begin := func(step crdtsync.SnapshotStep) *crdtsync.SnapshotBegin {
			return &crdtsync.SnapshotBegin{Space: "notes", Number: 1, Step: step, Vector: notes.Vector()}
		}
		part := func(first, names crdtsync.Frame) []crdtsync.Frame {
			end := &crdtsync.SnapshotEnd{Space: "notes", Number: 1, Chunks: 2, Print: printOf(t, n, keys[1])}
			return []crdtsync.Frame{first, names, headsOf(t, n), end}
		}
		whole := part(begin(crdtsync.SnapshotWhole), named(1, 0))
		whole[3] = &crdtsync.SnapshotEnd{Space: "notes", Number: 1, Chunks: 2}
		for what, frames := range map[string][]crdtsync.Frame{
			"without a beginning": part(begin(crdtsync.SnapshotPart), named(1, 0))[1:],
			"of another sending":  part(begin(crdtsync.SnapshotPart), named(2, 0)),
			"of a later chunk":    part(begin(crdtsync.SnapshotPart), named(1, 1)),
			"in a whole snapshot": whole,
			"without the end":     part(begin(crdtsync.SnapshotPart), named(1, 0))[:3],
		} {
			p := introduced(t, n)
			p.drain()
			p.send(frames...)
			synctest.Wait()
			wantIDs(t, what, notes, 1, 2)
			p.conn.Close("done")
			<-p.done
		}
		p := introduced(t, n)
		p.drain()
		p.send(part(begin(crdtsync.SnapshotPart), named(1, 0))...)
		synctest.Wait()
		wantIDs(t, "in its place", notes, 2) // its sender has seen the add
	})
}

// headsOf returns the chunk with the heads of the space, which holds one change.
func headsOf(t *testing.T, n *node.Node) (f *crdtsync.SnapshotChunk) {
	t.Helper()
	c, err := crdtsync.DecodeChange(rawChanges(t, n, "notes")[0])
	if err != nil {
		t.Fatal(err)
	}
	head := crdtsync.Head{Seq: 1, Time: c.Time, Hash: c.Hash(), Tip: true}
	return &crdtsync.SnapshotChunk{Space: "notes", Number: 1, Chunk: 1, Heads: []crdtsync.OriginHead{{Origin: n.Origin(), Head: head}}}
}

// printOf returns the fingerprint of the cell of the space with the key.
func printOf(t *testing.T, n *node.Node, key string) (f crdtsync.Fingerprint) {
	t.Helper()
	err := n.Store().View(t.Context(), func(r store.Reader) error {
		state, err := r.Get("notes", store.Cells, []byte(key))
		f = plus(f, binary.AppendUvarint(nil, uint64(len(key))), []byte(key), state)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// introduced connects a puppet that knows names, and has heard the node subscribe.
func introduced(t *testing.T, n *node.Node) *puppet {
	t.Helper()
	p := attach(t, n)
	h := hello(merge.Origin{9})
	h.Features = []string{crdtsync.FeatureNames, crdtsync.FeatureSnapshot}
	p.send(h)
	hear[*crdtsync.Subscribe](p)
	return p
}

func keysIn(t *testing.T, n *node.Node, space string) (keys []string) {
	t.Helper()
	err := n.Store().View(t.Context(), func(r store.Reader) error {
		for rec, err := range r.Scan(space, store.Cells, store.Range{}) {
			if err != nil {
				return err
			}
			keys = append(keys, string(rec.Key))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestPartIsSmall counts what it takes to tell C of a thousand scattered removals
// that are in no log any more: one round trip, and the same bytes however many
// cells there are, but for the distances between names.
func TestPartIsSmall(t *testing.T) {
	for _, per := range []int{1, 50} { // elements in a change
		few, many := tellRemovals(t, 2_000, per), tellRemovals(t, 20_000, per)
		const goal = 12_000
		if many > goal || many > few+1000*2 {
			t.Errorf("%d elements in a change: %d bytes among 2,000 cells and %d among 20,000; want at most %d and 2 more a removal", per, few, many, goal)
		}
		t.Logf("%d elements in a change: %d bytes among 2,000 cells, %d among 20,000", per, few, many)
	}
}

func tellRemovals(t *testing.T, cells, per int) (total int64) {
	synctest.Test(t, func(t *testing.T) {
		a, c := open(t), open(t)
		notes, element := a.Space("notes"), func(i int) string { return fmt.Sprintf("element %8d", i) }
		for i := 0; i < cells; i += per {
			mustUpdate(t, notes, func(tx *node.Tx) error {
				for j := range per {
					if err := tags.Add(tx, element(i+j)); err != nil {
						return err
					}
				}
				return nil
			})
		}
		meet(t, a, c, time.Minute)
		for i := range 1000 {
			mustUpdate(t, notes, func(tx *node.Tx) error { return tags.Remove(tx, element(i*(cells/1000)+i%2)) })
		}
		truncate(t, notes, false)
		fromA, fromC := meet(t, a, c, time.Second) // no heartbeat
		checkEqual(t, "notes", a, c)
		for i := range fromA.bytes {
			total += fromA.bytes[i].Load() + fromC.bytes[i].Load()
		}
		if n := fromC.frames[wire.TypeSubscribe].Load() + fromC.frames[wire.TypeResume].Load(); n != 1 || fromC.frames[wire.TypeAck].Load() != 1 {
			t.Errorf("C asked %d times, want one round trip", n)
		}
	})
	return total
}
