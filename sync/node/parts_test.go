package node_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// setLongTitle returns a transaction that writes a value of n bytes.
func setLongTitle(n int) func(tx *node.Tx) error {
	return func(tx *node.Tx) error { return title.Set(tx, strings.Repeat("x", n)) }
}

func titleOf(t *testing.T, s *node.Space) (value string) {
	t.Helper()
	mustView(t, s, func(v *node.View) (err error) {
		value, _, err = title.Get(v)
		return err
	})
	return value
}

// TestLargeChange sends a change that no frame holds, and one after it.
func TestLargeChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 9 << 20
		a, b := open(t), open(t)
		mustUpdate(t, a.Space("s"), setLongTitle(size))
		mustUpdate(t, a.Space("s"), add(1))
		join(t, a, b)
		time.Sleep(3 * beat)
		if got := titleOf(t, b.Space("s")); len(got) != size {
			t.Errorf("the peer holds a value of %d bytes, want %d", len(got), size)
		}
		checkEqual(t, "s", a, b)
		if p := problems(b); len(p) > 0 {
			t.Errorf("problems: %v", p)
		}
	})
}

// cutting is a connection that breaks after some frames of a type.
type cutting struct {
	wire.Conn
	of   wire.Type
	left *atomic.Int64
}

func (c *cutting) Send(ctx context.Context, b []byte) error {
	if wire.Type(b[0]) == c.of && c.left.Add(-1) < 0 {
		c.Close("cable cut")
		return errors.New("cable cut")
	}
	return c.Conn.Send(ctx, b)
}

// TestLargeChangeResumes breaks the connection again and again: each goes on
// where the one before it ended.
func TestLargeChangeResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, atOnce = 5 << 20, 20
		a, b := open(t), open(t)
		mustUpdate(t, a.Space("s"), setLongTitle(size))
		var bytes counter
		connections := 0
		for len(titleOf(t, b.Space("s"))) == 0 && connections < 50 {
			connections++
			left := &atomic.Int64{}
			left.Store(atOnce)
			x, y := wire.Pipe()
			go a.Serve(t.Context(), bytes.wrap(&cutting{x, wire.TypeFragment, left}))
			go b.Serve(t.Context(), y)
			time.Sleep(2 * time.Second)
		}
		if want := size/(64<<10)/atOnce + 1; connections > want+1 {
			t.Errorf("it took %d connections of %d fragments, want %d", connections, atOnce, want)
		}
		if got := bytes.bytes.Load(); got > size+size/4 {
			t.Errorf("%d bytes were sent of a change of %d", got, size)
		}
		checkEqual(t, "s", a, b)
	})
}

// TestNoFragments has a peer that knows no fragments: it gets everything but the
// large change, both sides hear why, and the status says what to do.
func TestNoFragments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := open(t)
		mustUpdate(t, n.Space("s"), setLongTitle(500_000))
		mustUpdate(t, n.Space("t"), add(1))
		p := attach(t, n)
		p.send(hello(merge.Origin{9}), &crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}}, &crdtsync.Subscribe{Space: "t", Vector: &merge.VersionVector{}})
		nack := hear[*crdtsync.Nack](p)
		if want := (merge.Dot{Origin: n.Origin(), Seq: 1}); nack.Dot != want || nack.Code != "needs_upgrade" || !strings.Contains(nack.Hint, "upgrade this node") {
			t.Errorf("the peer hears %+v", nack)
		}
		if got := hear[*crdtsync.Changes](p); got.Space != "t" {
			t.Errorf("the peer gets %+v, want what is in t", got)
		}
		p.drain()
		time.Sleep(beat + beat/2)
		wantUpgrade(t, n, "upgrade the peer")
		other := open(t)
		q := attach(t, other)
		q.drain()
		q.send(hello(merge.Origin{9}), nack)
		synctest.Wait()
		wantUpgrade(t, other, "upgrade this node")
	})
}

func wantUpgrade(t *testing.T, n *node.Node, action string) {
	t.Helper()
	for _, p := range n.Status().Problems {
		if p.Code == "needs_upgrade" && p.Space == "s" && strings.Contains(p.Action, action) && strings.Contains(p.Cause, "fragment") {
			return
		}
	}
	t.Errorf("problems = %+v, want needs_upgrade: %s", n.Status().Problems, action)
}

// TestFragmentFlood has a peer begin changes that it never completes, and one of
// which the hash is a lie.
func TestFragmentFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := open(t)
		p := attach(t, n)
		p.drain()
		h := hello(merge.Origin{9})
		h.Features = crdtsync.Features()
		p.send(h)
		before := heapNow()
		chunk := make([]byte, 200<<10)
		for seq := range uint64(1000) {
			p.send(&crdtsync.Fragment{Space: "s", Dot: merge.Dot{Origin: merge.Origin{8}, Seq: seq + 1}, Size: crdtsync.MaxChange, Hash: crdtsync.Hash{1}, Bytes: chunk})
		}
		synctest.Wait()
		if grown := int64(heapNow()) - int64(before); grown > 8<<20 {
			t.Errorf("beginnings of 200 MB in all take %d bytes", grown)
		}
		p.send(&crdtsync.Fragment{Space: "s", Dot: merge.Dot{Origin: merge.Origin{8}, Seq: 1}, Size: 4, Hash: crdtsync.Hash{1}, Bytes: []byte("lies")})
		if err := <-p.done; err == nil || !strings.Contains(err.Error(), "hash") {
			t.Errorf("after a lie the link ends with %v", err)
		}
	})
}

// TestDropFileOfLargeChanges carries large changes between small ones by hand,
// and damages a fragment.
func TestDropFileOfLargeChanges(t *testing.T) {
	a, b := open(t), open(t)
	mustUpdate(t, a.Space("s"), add(1))
	mustUpdate(t, a.Space("s"), setLongTitle(1<<20))
	mustUpdate(t, a.Space("s"), setLongTitle(2<<20))
	mustUpdate(t, a.Space("s"), add(2))
	file := export(t, a.Space("s"), node.Cut{})
	report, err := b.Import(t.Context(), bytes.NewReader(file))
	if err != nil || report.Applied != 4 {
		t.Fatalf("Import = %+v, %v; want 4 changes", report, err)
	}
	checkEqual(t, "s", a, b)
	var forged bytes.Buffer
	w, err := wire.NewFileWriter(&forged, wire.FileHeader{Space: "s", Changes: 1})
	if err != nil {
		t.Fatal(err)
	}
	raw := rawChanges(t, a, "s")[0]
	f := &crdtsync.Fragment{Space: "s", Dot: merge.Dot{Origin: a.Origin(), Seq: 1}, Size: uint64(len(raw)), Hash: sha256.Sum256(raw), Bytes: bytes.Clone(raw)}
	f.Bytes[len(raw)-1] ^= 1
	if err := w.Write(f); !errors.Is(err, wire.ErrFile) {
		t.Errorf("a file takes fragments that are not what their hash says: %v", err)
	}
}

// crowd returns a drop file with the first changes of origins from first on.
func crowd(t *testing.T, first, count int) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := wire.NewFileWriter(&file, wire.FileHeader{Space: "s", Changes: uint64(count)})
	if err != nil {
		t.Fatal(err)
	}
	var batch [][]byte
	for i := range count {
		var o merge.Origin
		binary.BigEndian.PutUint64(o[:], uint64(first+i)*0x9e3779b97f4a7c15)
		op := crdtsync.CellOp{Cell: crdtsync.CellKey{Object: "ids", Kind: "gset", Element: "\x18\x20"}, Op: crdt.Op{Put: true}}
		c, err := crdtsync.NewChange(merge.Dot{Origin: o, Seq: 1}, hlc.New(1, 0), crdtsync.Hash{}, nil, []crdtsync.CellOp{op})
		if err != nil {
			t.Fatal(err)
		}
		if batch = append(batch, c.Bytes()); len(batch) == 512 || i == count-1 {
			if err := w.Write(&crdtsync.Changes{Space: "s", Changes: batch}); err != nil {
				t.Fatal(err)
			}
			batch = nil
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// TestManyOrigins has two nodes meet that have heard of 50,000 origins, each of
// some that the other has not: no vector fits a frame.
func TestManyOrigins(t *testing.T) {
	const origins, apart = 50_000, 300
	synctest.Test(t, func(t *testing.T) {
		a, b, c := open(t), open(t), open(t)
		mustImport(t, a, crowd(t, 0, origins))
		mustImport(t, b, crowd(t, apart, origins))
		join(t, a, b)
		for range 20 {
			time.Sleep(beat)
			if st := a.Status(); len(st.Peers) != 1 || st.Peers[0].State != "connected" {
				t.Fatalf("status %+v", st.Peers)
			}
		}
		checkEqual(t, "s", a, b)
		if got := a.Status().Spaces[0].Origins; got != origins+apart {
			t.Errorf("%d origins, want %d", got, origins+apart)
		}
		mustUpdate(t, a.Space("s"), add(1))
		join(t, c, b) // which hears of its members, and of their vectors
		for range 20 {
			time.Sleep(beat)
		}
		checkEqual(t, "s", a, c)
		for i, n := range []*node.Node{a, b, c} {
			if p := problems(n); len(p) > 0 {
				t.Errorf("node %d: %v", i, p)
			}
			for _, p := range n.Status().Peers {
				if p.State != "connected" || p.Failures > 0 {
					t.Errorf("node %d: peer %+v", i, p)
				}
			}
		}
	})
}

// TestManyOriginsTruncated sends a snapshot with as many heads.
func TestManyOriginsTruncated(t *testing.T) {
	const origins = 20_000
	synctest.Test(t, func(t *testing.T) {
		a, b := open(t), open(t)
		mustImport(t, a, crowd(t, 0, origins))
		mustUpdate(t, a.Space("s"), add(1))
		if err := a.Space("s").Truncate(t.Context(), node.Horizon{Log: merge.VectorOf(merge.Dot{Origin: a.Origin(), Seq: 1})}); err != nil {
			t.Fatal(err)
		}
		join(t, a, b)
		time.Sleep(10 * beat)
		checkEqual(t, "s", a, b)
		if p := problems(b); len(p) > 0 {
			t.Error(p)
		}
	})
}

func TestMaxChangeIsChecked(t *testing.T) {
	for _, most := range []int{-1, crdtsync.MaxChange + 1} {
		_, err := node.Open(t.Context(), node.Config{Store: memstore.New(), MaxChange: most})
		if e, ok := errors.AsType[*node.ConfigError](err); !ok || e.Field != "MaxChange" {
			t.Errorf("MaxChange %d: %v", most, err)
		}
	}
	n := openConfig(t, node.Config{Store: memstore.New(), MaxChange: 1000})
	err := n.Space("s").Update(t.Context(), setLongTitle(2000))
	if e, ok := errors.AsType[*crdtsync.TooLargeError](err); !ok || e.Limit != 1000 || !strings.Contains(fmt.Sprint(err), "split") {
		t.Errorf("beyond the limit: %v", err)
	}
}
