package node_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// badge is a credential that can be changed while it is in use.
type badge struct {
	mu   sync.Mutex
	text string
}

func (b *badge) set(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = text
}

func (b *badge) get() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text
}

// badged is a dialer with a badge of its own.
type badged struct {
	wire.Dialer
	*badge
}

func (b badged) Prove(*crdtsync.Hello) *crdtsync.Auth {
	return &crdtsync.Auth{Scheme: "token", Credential: []byte(b.get())}
}

// doorman starts a node that lets in who shows what is on the list, to the spaces
// that stand there.
func doorman(t *testing.T, list *badge) *node.Node {
	return openConfig(t, node.Config{Store: memstore.New(), Name: "hub", Verify: func(_ *crdtsync.Hello, a crdtsync.Auth) (crdtsync.Grant, error) {
		if !strings.HasPrefix(list.get(), string(a.Credential)) {
			return crdtsync.Grant{}, errors.New("not on the list")
		}
		return crdtsync.Grant{Access: func(space string) crdtsync.Access {
			if strings.Contains(list.get(), space) {
				return crdtsync.AccessWrite
			}
			return crdtsync.AccessNone
		}}, nil
	}})
}

// problemOf returns the first problem with a code.
func problemOf(n *node.Node, code string) (p node.Problem, ok bool) {
	st := n.Status()
	i := slices.IndexFunc(st.Problems, func(p node.Problem) bool { return p.Code == code })
	if i < 0 {
		return p, false
	}
	return st.Problems[i], true
}

// TestRevokedCredential: it ends the link at once, both sides say why, and with
// another one it goes on.
func TestRevokedCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, mine := &badge{text: "blue s"}, &badge{text: "blue"}
		hub := doorman(t, list)
		n := openConfig(t, node.Config{Store: memstore.New(), Name: "laptop"})
		go n.Sync(t.Context(), badged{&dialer{hub, t.Context(), nil}, mine})
		mustUpdate(t, n.Space("s"), add(1))
		time.Sleep(beat)
		wantIDs(t, "the hub", hub.Space("s"), 1)

		list.set("red s")
		hub.Reauthorize()
		time.Sleep(2 * beat)
		if p, ok := problemOf(n, "needs_auth"); !ok || !strings.Contains(p.Cause, "not on the list") || !strings.Contains(p.Action, "credentials") {
			t.Errorf("the laptop says %+v", n.Status().Problems)
		}
		if p, ok := problemOf(hub, "credential_refused"); !ok || p.Peer != "laptop" || p.Cause != "not on the list" || p.Action == "" {
			t.Errorf("the hub says %+v", hub.Status().Problems)
		}
		mustUpdate(t, n.Space("s"), add(2))
		time.Sleep(10 * beat)
		wantIDs(t, "the hub after the revocation", hub.Space("s"), 1)

		mine.set("red")
		n.Retry(n.Status().Peers[0].Address)
		time.Sleep(beat)
		wantIDs(t, "the hub in the end", hub.Space("s"), 1, 2)
		if got := append(problems(hub), problems(n)...); len(got) > 0 {
			t.Errorf("problems in the end: %v", got)
		}
	})
}

// TestReauthorizeLeavesGoodLinksAlone: whoever may still connect notices nothing.
func TestReauthorizeLeavesGoodLinksAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, mine := &badge{text: "blue s"}, &badge{text: "blue"}
		hub, n := doorman(t, list), open(t)
		var dials atomic.Int64
		go n.Sync(t.Context(), badged{&dialer{hub, t.Context(), func(c wire.Conn) wire.Conn { dials.Add(1); return c }}, mine})
		time.Sleep(beat)
		list.set("blue s t")
		hub.Reauthorize()
		mustUpdate(t, n.Space("t"), add(1))
		time.Sleep(beat)
		wantIDs(t, "the hub", hub.Space("t"), 1)
		if got := dials.Load(); got != 1 {
			t.Errorf("%d connections, want one", got)
		}
	})
}

// TestWiderCredential: what the first one did not cover is named, and flows when
// another one does, over the same connection.
func TestWiderCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, mine := &badge{text: "blue s"}, &badge{text: "blue"}
		hub, n := doorman(t, list), open(t)
		mustUpdate(t, n.Space("s"), add(1))
		mustUpdate(t, n.Space("t"), add(2))
		go n.Sync(t.Context(), badged{&dialer{hub, t.Context(), nil}, mine})
		time.Sleep(2 * beat)
		if p, ok := problemOf(n, "space_forbidden"); !ok || p.Space != "t" || len(p.Action) < 10 {
			t.Errorf("problems %+v, want the space t", n.Status().Problems)
		}
		wantIDs(t, "what is covered", hub.Space("s"), 1)
		wantIDs(t, "what is not", hub.Space("t"))
		list.set("blue+ s t")
		mine.set("blue+")
		time.Sleep(3 * beat)
		wantIDs(t, "what is covered now", hub.Space("t"), 2)
		if got := problems(n); len(got) > 0 {
			t.Errorf("problems %v", got)
		}
	})
}

// TestTrustDialled: a node that checks credentials needs none of a peer that it
// has chosen itself.
func TestTrustDialled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plain := open(t)
		mustUpdate(t, plain.Space("s"), add(1))
		n := openConfig(t, node.Config{Store: memstore.New(), TrustDialled: true, Verify: func(*crdtsync.Hello, crdtsync.Auth) (crdtsync.Grant, error) {
			return crdtsync.Grant{}, errors.New("nobody may")
		}})
		go n.Sync(t.Context(), &dialer{plain, t.Context(), nil})
		time.Sleep(beat)
		wantIDs(t, "from whom it dialled", n.Space("s"), 1)
		other := open(t)
		mustUpdate(t, other.Space("s"), add(2))
		go other.Sync(t.Context(), &dialer{n, t.Context(), nil})
		time.Sleep(time.Minute)
		wantIDs(t, "and from nobody else", n.Space("s"), 1)
	})
}

// TestStrangersAreBounded: who comes without end is not remembered without end.
func TestStrangersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := doorman(t, &badge{text: "blue s"})
		for range 40 {
			n := open(t)
			go n.Sync(t.Context(), badged{&dialer{hub, t.Context(), nil}, &badge{text: "grey"}})
			time.Sleep(beat)
		}
		if got := len(problems(hub)); got != 16 {
			t.Errorf("%d problems, want the last 16", got)
		}
		time.Sleep(25 * time.Hour)
		if got := len(problems(hub)); got != 16 {
			t.Errorf("%d problems of those that come again, want 16", got)
		}
	})
}
