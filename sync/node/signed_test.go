package node_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
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

// checkSigned demands that a node knows of so many changes of "s" that their devices
// have signed them.
func checkSigned(t *testing.T, n *node.Node, want uint64) {
	t.Helper()
	for _, s := range n.Status().Spaces {
		if s.Name == "s" && s.Signed != want {
			t.Errorf("%d of %d changes are signed, want %d", s.Signed, s.Changes, want)
		}
	}
}

// keyOf returns the key to which the origin of a node belongs.
func keyOf(t *testing.T, n *node.Node) (key ed25519.PrivateKey) {
	t.Helper()
	err := n.Store().View(t.Context(), func(r store.Reader) error {
		keys, err := spacestore.Keys(r)
		key = keys[n.Origin()]
		return err
	})
	if err != nil || key == nil {
		t.Fatalf("no key: %v", err)
	}
	return key
}

// signedChange returns the head of a node's origin that names a change.
func signedChange(t *testing.T, n *node.Node, d merge.Dot, raw []byte) crdtsync.SignedHead {
	t.Helper()
	return crdtsync.SignHead("s", crdtsync.Known{Dot: d, Hash: sha256.Sum256(raw)}, keyOf(t, n))
}

// TestSignedHeads lets three nodes in a line write: each comes to know that the
// others have signed what they wrote, by way of the middle one, and still does after
// a restart. A node whose origin belongs to no key signs nothing.
func TestSignedHeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(memstore.Disk)
		a, b, c := open(t), open(t), openOn(t, disk)
		unsigned := openConfig(t, node.Config{Store: memstore.New(), NewOrigin: origin(5)})
		mustUpdate(t, unsigned.Space("s"), add(0))
		for i := range 3 {
			mustUpdate(t, a.Space("s"), add(i))
		}
		mustUpdate(t, c.Space("s"), add(7))
		join(t, unsigned, b)
		join(t, a, b)
		join(t, b, c)
		time.Sleep(10 * time.Second)
		for _, n := range []*node.Node{a, b, c} {
			checkSigned(t, n, 4)
		}
		mustUpdate(t, a.Space("s"), add(8))
		time.Sleep(10 * time.Second)
		checkSigned(t, c, 5)
		closeNode(t, c)
		checkSigned(t, openOn(t, disk), 5)
	})
}

// TestSignedTooEarly tells a node of a signed head before it has the change.
func TestSignedTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := open(t), open(t)
		mustUpdate(t, a.Space("s"), add(1))
		mustUpdate(t, a.Space("s"), add(2))
		raw := rawChanges(t, a, "s")
		p := signer(t, b)
		p.send(&crdtsync.Changes{Space: "s", Changes: raw[:1]})
		p.send(&crdtsync.Signed{Space: "s", Heads: []crdtsync.SignedHead{signedChange(t, a, merge.Dot{Origin: a.Origin(), Seq: 2}, raw[1])}})
		time.Sleep(5 * time.Second)
		checkSigned(t, b, 0)
		p.send(&crdtsync.Changes{Space: "s", Changes: raw[1:]})
		time.Sleep(5 * time.Second)
		checkSigned(t, b, 2)
	})
}

// TestSignedHeadsReplaceEachOther tells a node of every change of a device that it is
// signed: only the last head is kept.
func TestSignedHeadsReplaceEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(memstore.Disk)
		a, b := open(t), openOn(t, disk)
		const writes = 5
		for i := range writes {
			mustUpdate(t, a.Space("s"), add(i))
		}
		mustImport(t, b, export(t, a.Space("s"), node.Cut{}))
		p := signer(t, b)
		for i, raw := range rawChanges(t, a, "s") {
			h := signedChange(t, a, merge.Dot{Origin: a.Origin(), Seq: uint64(i) + 1}, raw)
			p.send(&crdtsync.Signed{Space: "s", Heads: []crdtsync.SignedHead{h}})
		}
		time.Sleep(5 * time.Second)
		closeNode(t, b)
		kept := 0
		err := on(t, disk).View(t.Context(), func(r store.Reader) error {
			for _, err := range r.Scan("s", store.Meta, store.Range{Prefix: []byte("signed\x00")}) {
				if err != nil {
					return err
				}
				kept++
			}
			return nil
		})
		if err != nil || kept != 1 {
			t.Errorf("%d heads are kept, %v, want one", kept, err)
		}
	})
}

// signer connects a puppet that may tell signed heads of "s", and keeps the link up.
func signer(t *testing.T, n *node.Node) *puppet {
	t.Helper()
	p := attach(t, n)
	p.drain()
	h := hello(merge.Origin{9})
	h.Features = slices.Sorted(slices.Values(append(crdtsync.Features(), crdtsync.FeatureSigned)))
	p.send(h, &crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}})
	go func() {
		for n := uint64(1); ; n++ {
			select {
			case <-time.After(2 * time.Second):
			case <-t.Context().Done():
				return
			}
			if b, err := wire.Append(nil, &crdtsync.Ping{N: n}); err != nil || p.conn.Send(t.Context(), b) != nil {
				return
			}
		}
	}()
	return p
}

// TestBadSignature tells a node of heads that nobody has signed: it hears no more of
// who does that.
func TestBadSignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := open(t), open(t)
		mustUpdate(t, a.Space("s"), add(1))
		mustImport(t, b, export(t, a.Space("s"), node.Cut{}))
		bad := signedChange(t, a, merge.Dot{Origin: a.Origin(), Seq: 1}, rawChanges(t, a, "s")[0])
		bad.Signature[0] ^= 1
		p := attach(t, b)
		p.send(hello(merge.Origin{9}), &crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}}, &crdtsync.Signed{Space: "s", Heads: []crdtsync.SignedHead{bad}})
		if bye := hear[*crdtsync.Goodbye](p); bye.Code != "protocol" || !strings.Contains(bye.Reason, "not signed") {
			t.Errorf("goodbye %+v, want protocol", bye)
		}
		checkSigned(t, b, 0)
	})
}

// TestForgedChange lets a relay forge a change of a device that has not written for a
// while. When the device writes, all keep both, and all that hear of it know which
// of the two the device has signed.
func TestForgedChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := open(t), open(t), open(t)
		mustUpdate(t, a.Space("s"), add(1))
		first := rawChanges(t, a, "s")[0]
		origin := a.Origin()
		at := func(seq uint64) merge.Dot { return merge.Dot{Origin: origin, Seq: seq} }
		time.Sleep(time.Second)
		forged := forge(t, at(2), 0, sha256.Sum256(first), nil, adding(t, 66))
		more := forge(t, at(3), time.Second, forged.Hash(), nil, adding(t, 67))
		relay := signer(t, c)
		relay.send(&crdtsync.Changes{Space: "s", Changes: [][]byte{first, forged.Bytes(), more.Bytes()}})
		synctest.Wait()
		checkHas(t, []int{1, 66, 67}, c)

		mustUpdate(t, a.Space("s"), add(2))
		mustUpdate(t, a.Space("s"), add(3))
		own := rawChanges(t, a, "s")[1:]
		join(t, a, b)
		time.Sleep(5 * time.Second)
		relay.send(&crdtsync.Signed{Space: "s", Heads: []crdtsync.SignedHead{signedChange(t, a, at(3), own[1])}})
		time.Sleep(5 * time.Second)
		if got := problems(c); !slices.Contains(got, "signed_otherwise") {
			t.Errorf("problems = %v, want signed_otherwise", got)
		}
		keep(t, a, b) // until it has taken a new origin
		keep(t, b, c)
		time.Sleep(time.Minute)
		checkHas(t, []int{1, 2, 3, 66, 67}, b, c)
		for i, n := range []*node.Node{b, c} {
			if p := forkOf(t, n); !signedIn(p, sha256.Sum256(own[0])) || signedIn(p, forged.Hash()) || !strings.Contains(p.Action, "forged") {
				t.Errorf("node %d: %+v, want that only the branch that the device wrote is signed, and that the other is forged", i, p)
			}
			if slices.Contains(problems(n), "signed_otherwise") {
				t.Errorf("node %d: signed_otherwise stays when the two are set apart", i)
			}
		}
	})
}

// forkOf returns what a node says of the only origin that has forked.
func forkOf(t *testing.T, n *node.Node) node.Problem {
	t.Helper()
	st := n.Status()
	i := slices.IndexFunc(st.Problems, func(p node.Problem) bool { return p.Code == "origin_forked" })
	if i < 0 {
		t.Fatalf("problems = %+v, want a fork", st.Problems)
	}
	return st.Problems[i]
}

// signedIn reports whether p says that the branch is signed that begins with a change.
func signedIn(p node.Problem, first crdtsync.Hash) bool {
	_, rest, _ := strings.Cut(p.Cause, crdtsync.BranchOrigin(first).String())
	note, _, _ := strings.Cut(rest, ")")
	return strings.HasSuffix(note, ", signed by the device")
}

// TestNewKeyForANewOrigin lets a node find that it was restored: its next origin has
// a key of its own, and it keeps the one before.
func TestNewKeyForANewOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(memstore.Disk)
		a, b := openOn(t, disk), open(t)
		before, key := a.Origin(), keyOf(t, a)
		mustUpdate(t, a.Space("s"), add(1))
		hear[*crdtsync.Goaway](meetFork(t, a, "s", crdtsync.Known{Dot: merge.Dot{Origin: before, Seq: 1}, Hash: crdtsync.Hash{1}}))
		checkRenewed(t, a, before)
		if now := keyOf(t, a); now.Equal(key) || crdtsync.OriginOf(now.Public().(ed25519.PublicKey)) != a.Origin() {
			t.Error("the new origin does not belong to a new key")
		}
		mustUpdate(t, a.Space("s"), add(2))
		join(t, a, b)
		time.Sleep(10 * time.Second)
		checkHas(t, []int{1, 2}, a, b)
		checkSigned(t, b, 1) // what was written again belongs to no key
		closeNode(t, a)
		again := openOn(t, disk)
		checkSigned(t, again, 1)
		mustUpdate(t, again.Space("s"), add(3))
		join(t, again, b)
		time.Sleep(10 * time.Second)
		checkSigned(t, b, 2)
	})
}

// TestDeviceSpeaksForItself lets a node doubt what it has of a device, until that
// is there and says that it has given the origin up.
func TestDeviceSpeaksForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := open(t), open(t)
		mustUpdate(t, a.Space("s"), add(1))
		d := merge.Dot{Origin: a.Origin(), Seq: 1}
		signer(t, b).send(
			&crdtsync.Changes{Space: "s", Changes: [][]byte{forge(t, d, 0, crdtsync.Hash{}, nil, adding(t, 66)).Bytes()}},
			&crdtsync.Signed{Space: "s", Heads: []crdtsync.SignedHead{signedChange(t, a, d, rawChanges(t, a, "s")[0])}})
		time.Sleep(5 * time.Second)
		if got := problems(b); !slices.Contains(got, "signed_otherwise") {
			t.Errorf("problems = %v, want signed_otherwise", got)
		}
		p := attach(t, b)
		p.drain()
		h := hello(merge.Origin{8})
		h.Former, h.Features = []merge.Origin{d.Origin}, []string{crdtsync.FeatureSigned}
		p.send(h, &crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}})
		time.Sleep(5 * time.Second)
		if got := problems(b); slices.Contains(got, "signed_otherwise") {
			t.Errorf("problems = %v when the device is there", got)
		}
	})
}
