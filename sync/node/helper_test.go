package node_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"math/bits"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

var (
	tags   = node.ORSet[string]("tags")
	vetoes = node.RWSet[string]("vetoes")
	once   = node.TwoPSet[string]("once")
	paths  = node.GSet[string]("paths")
	ids    = node.ORSet[int]("ids")
	title  = node.LWW[string]("title")
	drafts = node.MVRegister[string]("drafts")
	likes  = node.PNCounter("likes")
)

// open starts a node on a store of its own.
func open(t testing.TB) *node.Node {
	t.Helper()
	return openConfig(t, node.Config{Store: memstore.New()})
}

// openOn starts a node on what is on the disk.
func openOn(t testing.TB, disk *memstore.Disk) *node.Node {
	t.Helper()
	return openConfig(t, node.Config{Store: on(t, disk)})
}

func on(t testing.TB, disk *memstore.Disk) store.Store {
	t.Helper()
	s, err := memstore.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openConfig(t testing.TB, cfg node.Config) *node.Node {
	t.Helper()
	n, err := node.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// mustUpdate runs a transaction that has to succeed.
func mustUpdate(t testing.TB, s *node.Space, fn func(tx *node.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// mustView runs a function over a snapshot that has to succeed.
func mustView(t testing.TB, s *node.Space, fn func(v *node.View) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// add returns a transaction that adds the elements to ids.
func add(elements ...int) func(tx *node.Tx) error {
	return func(tx *node.Tx) error {
		for _, e := range elements {
			if err := ids.Add(tx, e); err != nil {
				return err
			}
		}
		return nil
	}
}

// all collects what an object yields.
func all[T any](t testing.TB, seq iter.Seq2[T, error]) (list []T) {
	t.Helper()
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	return list
}

// idsOf returns the elements of ids that are durable, ascending.
func idsOf(t testing.TB, s *node.Space) (list []int) {
	t.Helper()
	mustView(t, s, func(v *node.View) error {
		list = all(t, ids.All(v))
		return nil
	})
	slices.Sort(list)
	return list
}

// problems returns the codes of the problems in the node's status, ascending.
func problems(n *node.Node) (codes []string) {
	for _, p := range n.Status().Problems {
		codes = append(codes, p.Code)
	}
	slices.Sort(codes)
	return codes
}

// checkSound recomputes what the node keeps account of from what is stored.
func checkSound(t testing.TB, n *node.Node, space string) {
	t.Helper()
	var cells crdtsync.Fingerprint
	err := n.Store().View(t.Context(), func(r store.Reader) error {
		for rec, err := range r.Scan(space, store.Cells, store.Range{}) {
			if err != nil {
				return err
			}
			cells = plus(cells, binary.AppendUvarint(nil, uint64(len(rec.Key))), rec.Key, rec.Value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var applied crdtsync.Fingerprint
	changes := uint64(0)
	for d := range n.Space(space).Vector().Heads() {
		applied = plus(applied, d.Origin[:], binary.BigEndian.AppendUint64(nil, d.Seq))
		changes += d.Seq
	}
	got := n.Space(space).Summary()
	if got.Cells != cells || got.Applied != applied || got.Changes != changes {
		t.Errorf("summary of %q = %+v, recomputed %v, %v, %d changes", space, got, cells, applied, changes)
	}
}

// plus adds the hash of the parts to f, modulo 2^256.
func plus(f crdtsync.Fingerprint, parts ...[]byte) crdtsync.Fingerprint {
	h := sha256.Sum256(slices.Concat(parts...))
	var carry uint64
	for i := range f {
		f[i], carry = bits.Add64(f[i], binary.LittleEndian.Uint64(h[8*i:]), carry)
	}
	return f
}

// A meddler is a store that a test meddles with.
type meddler struct {
	store.Store
	updates atomic.Int64 // calls of Update
	hooks   atomic.Pointer[hooks]
}

// hooks are called at points of a store's work. Each may be nil; what it
// returns is the error of what it interrupts.
type hooks struct {
	begin  func() error // before the function of an Update
	commit func() error // before its commit
	done   func() error // after its commit
	op     func() error // before each operation of a transaction or snapshot
	health func() error // the store's word on itself
}

func meddle(s store.Store) *meddler {
	m := &meddler{Store: s}
	m.set(hooks{})
	return m
}

func (m *meddler) set(h hooks) { m.hooks.Store(&h) }

func (m *meddler) Health() error { return call(m.hooks.Load().health) }

func call(hook func() error) error {
	if hook == nil {
		return nil
	}
	return hook()
}

func (m *meddler) Update(ctx context.Context, fn func(store.Tx) error) error {
	m.updates.Add(1)
	h := m.hooks.Load()
	if err := call(h.begin); err != nil {
		return err
	}
	err := m.Store.Update(ctx, func(tx store.Tx) error {
		if err := fn(&meddledTx{meddledReader{tx, h}, tx}); err != nil {
			return err
		}
		return call(h.commit)
	})
	if err != nil {
		return err
	}
	return call(h.done)
}

func (m *meddler) View(ctx context.Context, fn func(store.Reader) error) error {
	return m.Store.View(ctx, func(r store.Reader) error { return fn(meddledReader{r, m.hooks.Load()}) })
}

type meddledReader struct {
	store.Reader
	h *hooks
}

func (r meddledReader) Get(space string, t store.Table, key []byte) ([]byte, error) {
	if err := call(r.h.op); err != nil {
		return nil, err
	}
	return r.Reader.Get(space, t, key)
}

func (r meddledReader) Scan(space string, t store.Table, rg store.Range) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if err := call(r.h.op); err != nil {
			yield(store.Record{}, err)
			return
		}
		r.Reader.Scan(space, t, rg)(yield)
	}
}

type meddledTx struct {
	meddledReader
	tx store.Tx
}

func (t *meddledTx) Put(space string, table store.Table, key, value []byte) error {
	if err := call(t.h.op); err != nil {
		return err
	}
	return t.tx.Put(space, table, key, value)
}

func (t *meddledTx) Delete(space string, table store.Table, key []byte) error {
	if err := call(t.h.op); err != nil {
		return err
	}
	return t.tx.Delete(space, table, key)
}

// counter counts the bytes that cross connections, both ways.
type counter struct{ bytes atomic.Int64 }

func (c *counter) wrap(conn wire.Conn) wire.Conn { return &countedConn{conn, c} }

type countedConn struct {
	wire.Conn
	counter *counter
}

func (c *countedConn) Send(ctx context.Context, frame []byte) error {
	c.counter.bytes.Add(int64(len(frame)))
	return c.Conn.Send(ctx, frame)
}

func (c *countedConn) Recv(ctx context.Context) ([]byte, error) {
	b, err := c.Conn.Recv(ctx)
	c.counter.bytes.Add(int64(len(b)))
	return b, err
}
