package node_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// TestForgedBranchIsNotTheDevices lets a device meet a forged branch first, which it
// takes for its own that it has lost, and then a node that has what it wrote.
func TestForgedBranchIsNotTheDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := open(t), open(t), open(t)
		mustUpdate(t, a.Space("s"), add(1))
		first := rawChanges(t, a, "s")[0]
		origin := a.Origin()
		at := func(seq uint64) merge.Dot { return merge.Dot{Origin: origin, Seq: seq} }
		time.Sleep(time.Second)
		forged := forge(t, at(2), 0, sha256.Sum256(first), nil, adding(t, 66))
		relay := signer(t, c)
		relay.send(&crdtsync.Changes{Space: "s", Changes: [][]byte{first, forged.Bytes()}})
		synctest.Wait()
		mustUpdate(t, a.Space("s"), add(2))
		own := rawChanges(t, a, "s")[1:]
		join(t, a, b)
		time.Sleep(5 * time.Second)
		keep(t, a, c)
		time.Sleep(20 * time.Second)
		keep(t, b, c)
		keep(t, a, b)
		time.Sleep(time.Minute)
		checkHas(t, []int{1, 2, 66}, a, b, c)
		real, fake := sha256.Sum256(own[0]), forged.Hash()
		for i, n := range []*node.Node{a, b, c} {
			if p := forkOf(t, n); !signedIn(p, real) || signedIn(p, fake) {
				t.Errorf("node %d: %+v, want that only the branch that the device wrote is signed", i, p)
			}
		}
	})
}

// TestSignedBeforeARestore lets a restored device sign what it takes back later: what
// it had signed before the restore goes by way of it all the same.
func TestSignedBeforeARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(memstore.Disk)
		a, c, d, e := openOn(t, disk), open(t), open(t), open(t)
		join(t, a, c)
		mustUpdate(t, a.Space("s"), add(1))
		time.Sleep(5 * time.Second)
		backup := disk.Clone()
		mustUpdate(t, a.Space("s"), add(2))
		time.Sleep(5 * time.Second)
		checkSigned(t, c, 2)
		a.Close()
		r := openOn(t, backup)
		mustUpdate(t, r.Space("s"), add(20))
		join(t, r, e) // signs 2' at a tick
		time.Sleep(3 * time.Second)
		e.Close() // gone before anything else
		keep(t, r, c)
		time.Sleep(20 * time.Second)
		keep(t, r, d)
		time.Sleep(time.Minute)
		checkHas(t, []int{1, 2, 20}, r, c, d)
		checkSigned(t, c, 2)
		checkSigned(t, d, 2)
	})
}

// TestSignedBeforeAFork sets an origin apart: what it had signed before counts, at
// nodes that had it and at one that comes later.
func TestSignedBeforeAFork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := open(t), open(t), open(t)
		for i := range 5 {
			mustUpdate(t, a.Space("s"), add(i))
		}
		raw := rawChanges(t, a, "s")
		origin := a.Origin()
		join(t, a, b)
		time.Sleep(5 * time.Second)
		checkSigned(t, b, 5)
		forged := forge(t, merge.Dot{Origin: origin, Seq: 6}, 0, sha256.Sum256(raw[4]), nil, adding(t, 66))
		signer(t, c).send(&crdtsync.Changes{Space: "s", Changes: append(raw, forged.Bytes())})
		mustUpdate(t, a.Space("s"), add(6))
		time.Sleep(5 * time.Second)
		checkSigned(t, b, 6)
		keep(t, a, b)
		keep(t, b, c)
		time.Sleep(time.Minute)
		late := open(t)
		keep(t, b, late)
		keep(t, a, late)
		time.Sleep(time.Minute)
		for _, n := range []*node.Node{a, b, c, late} {
			checkSigned(t, n, 5)
		}
	})
}

// TestSignedThenForkedWhole sets the first change of an origin apart: its last head
// names nothing any more, also after a restart.
func TestSignedThenForkedWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(memstore.Disk)
		a, b := open(t), openOn(t, disk)
		d := merge.Dot{Origin: a.Origin(), Seq: 1}
		mustUpdate(t, a.Space("s"), add(1))
		join(t, a, b)
		time.Sleep(5 * time.Second)
		checkSigned(t, b, 1)
		closeNode(t, a)
		forged := forge(t, d, 0, crdtsync.Hash{}, nil, adding(t, 66))
		signer(t, b).send(&crdtsync.Changes{Space: "s", Changes: [][]byte{forged.Bytes()}})
		time.Sleep(20 * time.Second)
		if p := forkOf(t, b); !strings.Contains(p.Cause, "signed by the device") {
			t.Errorf("%+v, want that a branch is signed", p)
		}
		closeNode(t, b)
		err := openOn(t, disk).Store().View(t.Context(), func(r store.Reader) error {
			known, err := spacestore.Signed(r, "s")
			if err == nil && known.Last(d.Origin).Dot.Seq > 0 {
				t.Errorf("the head %v is kept", known.Last(d.Origin).Dot)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// TestSignedHeadsOverAFullDisk fails the commit that was to keep signed heads.
func TestSignedHeadsOverAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(memstore.Disk)
		m := meddle(on(t, disk))
		a, b := open(t), openConfig(t, node.Config{Store: m})
		mustUpdate(t, a.Space("s"), add(1))
		mustImport(t, b, export(t, a.Space("s"), node.Cut{}))
		m.set(hooks{commit: func() error { return errors.New("no room") }})
		join(t, a, b)
		time.Sleep(5 * time.Second)
		m.set(hooks{})
		mustUpdate(t, b.Space("s"), add(2)) // the store works again
		time.Sleep(time.Hour)
		checkSigned(t, b, 2)
		closeNode(t, b)
		checkSigned(t, openOn(t, disk), 2)
	})
}

// TestSignedWhenGivenUp lets a device take a new origin because of one space, before it
// has signed what it wrote in another.
func TestSignedWhenGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := open(t), open(t)
		before := a.Origin()
		for i := range 3 {
			mustUpdate(t, a.Space("u"), add(i))
		}
		mustUpdate(t, a.Space("s"), add(1))
		hear[*crdtsync.Goaway](meetFork(t, a, "s", crdtsync.Known{Dot: merge.Dot{Origin: before, Seq: 1}, Hash: crdtsync.Hash{1}}))
		checkRenewed(t, a, before)
		mustUpdate(t, b.Space("u"), add(9))
		keep(t, a, b)
		time.Sleep(time.Minute)
		for _, s := range b.Status().Spaces {
			if s.Name == "u" && s.Signed != s.Changes {
				t.Errorf("%d of %d changes of u are signed", s.Signed, s.Changes)
			}
		}
	})
}

// TestSignedHeadsAreToldBack restores a device that had told its peer of signed heads.
func TestSignedHeadsAreToldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(memstore.Disk)
		a, r, b := open(t), openOn(t, disk), open(t)
		backup := disk.Clone()
		for i := range 3 {
			mustUpdate(t, a.Space("s"), add(i))
		}
		join(t, a, r)
		join(t, r, b)
		time.Sleep(20 * time.Second)
		checkSigned(t, b, 3)
		closeNode(t, a)
		closeNode(t, r)
		again := openOn(t, backup)
		keep(t, again, b)
		time.Sleep(time.Hour)
		checkHas(t, []int{0, 1, 2}, again, b)
		checkSigned(t, again, 3)
	})
}

// signedOrigins has nodes take the first changes of n origins, and that they are signed.
func signedOrigins(t *testing.T, n int, nodes ...*node.Node) {
	t.Helper()
	var heads []crdtsync.SignedHead
	var raws [][]byte
	ops := adding(t, 7)
	for i := range n {
		seed := make([]byte, 32)
		binary.BigEndian.PutUint32(seed, uint32(i)+1)
		key := ed25519.NewKeyFromSeed(seed)
		o := crdtsync.OriginOf(key.Public().(ed25519.PublicKey))
		c := forge(t, merge.Dot{Origin: o, Seq: 1}, 0, crdtsync.Hash{}, nil, ops)
		raws = append(raws, c.Bytes())
		heads = append(heads, crdtsync.SignHead("s", crdtsync.Known{Dot: c.Dot, Hash: c.Hash()}, key))
	}
	for _, to := range nodes {
		p := signer(t, to)
		for i := range n {
			p.send(&crdtsync.Changes{Space: "s", Changes: raws[i : i+1]})
		}
		time.Sleep(time.Second)
		for i := range n {
			p.send(&crdtsync.Signed{Space: "s", Heads: heads[i : i+1]})
		}
	}
	time.Sleep(5 * time.Second)
}

// headTap counts the signed heads that are sent.
type headTap struct {
	wire.Conn
	heads *int
}

func (c headTap) Send(ctx context.Context, frame []byte) error {
	if f, err := wire.Decode(bytes.Clone(frame)); err == nil {
		if s, ok := f.(*crdtsync.Signed); ok {
			*c.heads += len(s.Heads)
		}
	}
	return c.Conn.Send(ctx, frame)
}

// linkFor connects two nodes for a while, and returns how many heads the first told.
func linkFor(t *testing.T, a, b *node.Node, d time.Duration) (heads int) {
	t.Helper()
	x, y := wire.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	go b.Serve(ctx, y)
	a.Serve(ctx, headTap{x, &heads})
	time.Sleep(2 * time.Second)
	return heads
}

// TestIdleHeadsCostNothing connects two nodes again that know the same.
func TestIdleHeadsCostNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, d := open(t), open(t)
		signedOrigins(t, 200, b)
		linkFor(t, b, d, time.Minute)
		checkSigned(t, d, 200)
		if n := linkFor(t, b, d, time.Minute); n > 0 {
			t.Errorf("%d heads of idle origins are told to a peer that knows them", n)
		}
	})
}

// TestSignedHeadsOverShortLinks lets a device that is never linked for long hear of the
// heads of many idle origins, and always of that of the active one.
func TestSignedHeadsOverShortLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		links := 0
		b, a := open(t), open(t)
		d := openConfig(t, node.Config{Store: memstore.New(), NewNonce: func() crdtsync.Nonce {
			h := sha256.Sum256([]byte{byte(links)})
			return crdtsync.Nonce(h[:len(crdtsync.Nonce{})])
		}})
		signedOrigins(t, 100, b)
		join(t, a, b)
		const most = 80
		for links < most {
			mustUpdate(t, a.Space("s"), add(100+links))
			time.Sleep(10 * time.Second)
			linkFor(t, b, d, 5*time.Second)
			links++
			if st := d.Status().Spaces[0]; st.Signed < uint64(links) {
				t.Fatalf("%d of %d changes are signed after %d links: not those of the active origin", st.Signed, st.Changes, links)
			}
		}
		checkSigned(t, d, 100+most)
	})
}
