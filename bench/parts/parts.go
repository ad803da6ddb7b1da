// Package parts measures rung 2 of the anti-entropy ladder: what it takes to tell
// a node of removals that are in no log any more. The two nodes are real, the
// store between them and the disk counts what is read.
package parts

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// A Case says what to measure.
type Case struct {
	Cells    int // elements of one set, with keys of 16 characters
	PerAdd   int // elements that one change adds
	Removals int // scattered, a change each
	// Truncated says that the receiver's log is truncated too.
	Truncated bool
	// Nameless says that the nodes do not know names of cells.
	Nameless bool
}

// A Cost is what it took until the receiver was level.
type Cost struct {
	Sent, Received int // bytes of frames that the sender and the receiver sent
	States         int // of Sent, bytes of states of cells
	Questions      int // of the receiver: SUBSCRIBE, RESUME and SPELL
	Records        int // that were read from both stores
}

// Control is all bytes but those of states.
func (c Cost) Control() int { return c.Sent + c.Received - c.States }

const space = "set"

// Measure builds two stores that hold the same cells, removes some at one, lets
// its log go and connects both.
func Measure(ctx context.Context, c Case) (cost Cost, err error) {
	disk, err := filled(ctx, c)
	if err != nil {
		return cost, err
	}
	var records atomic.Int64
	sender, err := open(ctx, disk, merge.Origin{0xa1}, &records)
	if err != nil {
		return cost, err
	}
	defer sender.Close()
	receiver, err := open(ctx, disk.Clone(), merge.Origin{0xb2}, &records)
	if err != nil {
		return cost, err
	}
	defer receiver.Close()
	if err := prepare(ctx, c, sender.Space(space), receiver.Space(space)); err != nil {
		return cost, err
	}
	records.Store(0)
	m := &meter{nameless: c.Nameless}
	if err := meet(ctx, sender, receiver, m); err != nil {
		return cost, err
	}
	m.cost.Records = int(records.Load())
	return m.cost, nil
}

// filled returns a disk on which an author has added all cells.
func filled(ctx context.Context, c Case) (*memstore.Disk, error) {
	disk := &memstore.Disk{}
	s, err := memstore.Open(disk)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	author := crdtsync.NewSpace(crdtsync.SpaceConfig{Name: space, Self: merge.Origin{0xc3}, Kinds: crdt.Builtin()})
	const atOnce = 10_000
	for from := 0; from < c.Cells; from += atOnce {
		err := s.Update(ctx, func(tx store.Tx) error {
			st := author.Stage(spacestore.Cells{Reader: tx, Space: space}, 0)
			for i := from; i < min(from+atOnce, c.Cells); i += c.PerAdd {
				if err := add(st, i, min(i+c.PerAdd, c.Cells)); err != nil {
					return err
				}
			}
			defer st.Commit()
			return spacestore.Save(tx, space, st.Persist())
		})
		if err != nil {
			return nil, err
		}
	}
	return disk, nil
}

func element(i int) string { return fmt.Sprintf("%016x", uint64(i)*0x9e3779b97f4a7c15) }

// add authors the change that adds some elements.
func add(st *crdtsync.Stage, first, end int) error {
	ops := make([]crdtsync.CellOp, 0, end-first)
	for i := first; i < end; i++ {
		b, err := crdt.EncodeElement(element(i))
		if err != nil {
			return err
		}
		cell := crdtsync.CellKey{Object: "tags", Kind: crdt.ORSetKind.Name(), Element: string(b)}
		ops = append(ops, crdtsync.CellOp{Cell: cell, Op: crdt.Op{Put: true}})
	}
	_, err := st.Author(hlc.New(1_700_000_000_000+int64(first), 0), ops)
	return err
}

// open starts a node on a disk, under an origin of its own.
func open(ctx context.Context, disk *memstore.Disk, o merge.Origin, records *atomic.Int64) (*node.Node, error) {
	s, err := memstore.Open(disk)
	if err != nil {
		return nil, err
	}
	if err := s.Update(ctx, func(tx store.Tx) error { return spacestore.SetOrigin(tx, o) }); err != nil {
		return nil, err
	}
	return node.Open(ctx, node.Config{Store: counting{s, records}, Heartbeat: time.Hour})
}

func prepare(ctx context.Context, c Case, sender, receiver *node.Space) error {
	tags, before := node.ORSet[string]("tags"), sender.Vector()
	for i := range c.Removals {
		at := i*(c.Cells/c.Removals) + i*31%(c.Cells/c.Removals)
		err := sender.Update(ctx, func(tx *node.Tx) error { return tags.Remove(tx, element(at)) })
		if err != nil {
			return err
		}
	}
	if c.Truncated {
		if err := receiver.Truncate(ctx, node.Horizon{Log: before}); err != nil {
			return err
		}
	}
	return sender.Truncate(ctx, node.Horizon{Log: sender.Vector()})
}

// meet connects the nodes until they are level.
func meet(ctx context.Context, sender, receiver *node.Node, m *meter) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	near, far := wire.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() { _ = sender.Serve(ctx, metered{near, m, true}) })
	wg.Go(func() { _ = receiver.Serve(ctx, metered{far, m, false}) })
	defer wg.Wait()
	defer cancel()
	for deadline := time.Now().Add(5 * time.Minute); !m.acknowledged.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("parts: the receiver has not become level within 5 minutes")
		}
	}
	a, b := sender.Space(space), receiver.Space(space)
	if !a.Vector().Equal(b.Vector()) || a.Summary().Cells != b.Summary().Cells {
		return errors.New("parts: the nodes differ after all")
	}
	return nil
}

// A meter counts what crosses a connection.
type meter struct {
	nameless     bool
	mu           sync.Mutex
	cost         Cost
	acknowledged atomic.Bool
}

type metered struct {
	wire.Conn
	meter  *meter
	sender bool
}

// Send counts a frame on its way.
func (c metered) Send(ctx context.Context, frame []byte) error {
	f, err := wire.Decode(frame)
	if err != nil {
		return err
	}
	if h, ok := f.(*crdtsync.Hello); ok && c.meter.nameless {
		h.Features = []string{crdtsync.FeatureNeed, crdtsync.FeatureSnapshot}
		if frame, err = wire.Append(nil, h); err != nil {
			return err
		}
	}
	c.meter.count(f, len(frame), c.sender)
	return c.Conn.Send(ctx, frame)
}

func (m *meter) count(f crdtsync.Frame, size int, bySender bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if bySender {
		m.cost.Sent += size
	} else {
		m.cost.Received += size
	}
	switch f := f.(type) {
	case *crdtsync.SnapshotChunk:
		for _, p := range f.Parts {
			m.cost.States += len(p.State)
		}
	case *crdtsync.SnapshotNamed:
		for _, c := range f.Held {
			m.cost.States += len(c.State)
		}
	case *crdtsync.Subscribe, *crdtsync.Resume, *crdtsync.Spell:
		if !bySender {
			m.cost.Questions++
		}
	case *crdtsync.Ack:
		m.acknowledged.Store(true)
	}
}

// counting counts the records that are read from a store.
type counting struct {
	store.Store
	records *atomic.Int64
}

func (c counting) View(ctx context.Context, fn func(store.Reader) error) error {
	return c.Store.View(ctx, func(r store.Reader) error { return fn(countingReader{r, c.records}) })
}

func (c counting) Update(ctx context.Context, fn func(store.Tx) error) error {
	return c.Store.Update(ctx, func(tx store.Tx) error { return fn(countingTx{countingReader{tx, c.records}, tx}) })
}

type countingReader struct {
	store.Reader
	records *atomic.Int64
}

func (r countingReader) Get(space string, t store.Table, key []byte) ([]byte, error) {
	r.records.Add(1)
	return r.Reader.Get(space, t, key)
}

func (r countingReader) Scan(space string, t store.Table, rg store.Range) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for rec, err := range r.Reader.Scan(space, t, rg) {
			if r.records.Add(1); !yield(rec, err) {
				return
			}
		}
	}
}

type countingTx struct {
	countingReader
	tx store.Tx
}

func (t countingTx) Put(space string, table store.Table, key, value []byte) error {
	return t.tx.Put(space, table, key, value)
}

func (t countingTx) Delete(space string, table store.Table, key []byte) error {
	return t.tx.Delete(space, table, key)
}
