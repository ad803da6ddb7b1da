package node_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// guarded starts a node that takes tokens, which are the Unix millisecond in
// which they end, and lets their bearer do what access says.
func guarded(t *testing.T, access func(space string) crdtsync.Access) *node.Node {
	t.Helper()
	return openConfig(t, node.Config{Store: memstore.New(), Verify: func(_ *crdtsync.Hello, a crdtsync.Auth) (crdtsync.Grant, error) {
		until, err := strconv.ParseUint(string(a.Credential), 10, 64)
		if err != nil || until < uint64(time.Now().UnixMilli()) {
			return crdtsync.Grant{}, errors.New("the token is not good: issue another")
		}
		return crdtsync.Grant{Access: access, Until: until}, nil
	}})
}

func token(end time.Time) *crdtsync.Auth {
	return &crdtsync.Auth{Scheme: "token", Credential: fmt.Append(nil, end.UnixMilli())}
}

// TestTokenExpiry runs ten minutes on tokens of five seconds over one connection.
// When no more come, the link ends, and the status says why and what to do.
func TestTokenExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := guarded(t, nil)
		var dials, stopped atomic.Int64
		last := token(time.Now().Add(5 * time.Second))
		n := openConfig(t, node.Config{Store: memstore.New(), Heartbeat: time.Second, Prove: func(*crdtsync.Hello) *crdtsync.Auth {
			if stopped.Load() == 0 {
				last = token(time.Now().Truncate(2 * time.Second).Add(5 * time.Second))
			}
			return last
		}})
		go n.Sync(t.Context(), &dialer{to: hub, ctx: t.Context(), wrap: func(c wire.Conn) wire.Conn { dials.Add(1); return c }})
		for i := range 60 {
			mustUpdate(t, n.Space("s"), add(i))
			time.Sleep(10 * time.Second)
		}
		checkEqual(t, "s", n, hub)
		if got := dials.Load(); got != 1 || len(idsOf(t, hub.Space("s"))) != 60 {
			t.Errorf("%d connections, want one", got)
		}
		stopped.Store(1)
		time.Sleep(20 * time.Second)
		st := n.Status()
		if i := slices.IndexFunc(st.Problems, func(p node.Problem) bool { return p.Code == "needs_auth" }); i < 0 || !strings.Contains(st.Problems[i].Action, "credentials") {
			t.Errorf("problems = %+v, want needs_auth", st.Problems)
		}
	})
}

// TestBeforeAuthentication sends much, or nothing, before a credential.
func TestBeforeAuthentication(t *testing.T) {
	for name, flood := range map[string]func(p *puppet){
		"silence": func(*puppet) {},
		"frames": func(p *puppet) {
			for b := ping(p.t); p.conn.Send(p.t.Context(), slices.Clone(b)) == nil; {
			}
		},
		"bytes": func(p *puppet) {
			p.send(&crdtsync.Changes{Space: "s", Changes: [][]byte{make([]byte, 100_000)}})
		},
		"bad token": func(p *puppet) { p.send(&crdtsync.Auth{Scheme: "token", Credential: []byte("1")}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := guarded(t, nil)
				mustUpdate(t, n.Space("secret"), add(1))
				began := time.Now()
				p := attach(t, n)
				said := make(chan bool, 1)
				go func() {
					spoke := false
					for {
						b, err := p.conn.Recv(t.Context())
						if err != nil {
							said <- spoke
							return
						}
						spoke = spoke || strings.Contains(string(b), "secret")
					}
				}()
				p.send(hello(merge.Origin{9}), &crdtsync.Subscribe{Space: "secret", Vector: &merge.VersionVector{}})
				flood(p)
				if err := <-p.done; err == nil || time.Since(began) > time.Minute {
					t.Errorf("Serve = %v after %v", err, time.Since(began))
				}
				if <-said {
					t.Error("the name of a space was said to a stranger")
				}
			})
		})
	}
}

// TestPoisonChange sends changes that cannot be applied, of each sort, between
// good ones. Those flow, and both sides say what was refused and why.
func TestPoisonChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := guarded(t, func(space string) crdtsync.Access {
			if space == "read" {
				return crdtsync.AccessRead
			}
			return crdtsync.AccessWrite
		})
		other := open(t)
		mustUpdate(t, other.Space("s"), add(1))
		mustUpdate(t, other.Space("s"), add(2))
		good := rawChanges(t, other, "s")
		head := good[0][:26] // version, time, origin and number of the first change
		p := attach(t, hub)
		p.send(hello(merge.Origin{9}), token(time.Now().Add(time.Hour)))
		hear[*crdtsync.Welcome](p)
		malformed := append(slices.Clone(head), 0xff)
		malformed[9] ^= 0xff
		oversized := append(slices.Clone(head), make([]byte, crdtsync.MaxWhole)...)
		oversized[9] ^= 0xfe
		p.send(&crdtsync.Changes{Space: "s", Changes: [][]byte{malformed, good[0]}}, &crdtsync.Changes{Space: "s", Changes: [][]byte{oversized}},
			&crdtsync.Changes{Space: "read", Changes: good}, &crdtsync.Changes{Space: "s", Changes: [][]byte{good[1]}})
		for _, want := range []string{"malformed", "too_large", "forbidden", "forbidden"} {
			if got := hear[*crdtsync.Nack](p); got.Code != want || got.Class != crdtsync.ClassOf(want) || got.Hint == "" {
				t.Errorf("nack %+v, want %s", got, want)
			}
		}
		synctest.Wait()
		if got := idsOf(t, hub.Space("s")); !slices.Equal(got, []int{1, 2}) {
			t.Errorf("ids = %v, want what is good", got)
		}
		var codes []string
		for _, q := range hub.Quarantine() {
			codes = append(codes, q.Space+" "+q.Code)
			if q.From != "puppet" || q.Reason == "" || q.Action == "" {
				t.Errorf("quarantined %+v", q)
			}
		}
		slices.Sort(codes)
		if !slices.Equal(codes, []string{"read forbidden", "read forbidden", "s malformed", "s too_large"}) {
			t.Errorf("quarantine = %v", codes)
		}
		dot := merge.Dot{Origin: other.Origin(), Seq: 1}
		if err := hub.RetryQuarantined(t.Context(), "read", dot); err != nil {
			t.Errorf("retry: %v", err)
		}
		if err := hub.RetryQuarantined(t.Context(), "read", dot); !errors.Is(err, node.ErrNotQuarantined) {
			t.Errorf("a second retry: %v, want ErrNotQuarantined", err)
		}
		if err := hub.DropQuarantined(t.Context(), "read", merge.Dot{Origin: other.Origin(), Seq: 2}); err != nil {
			t.Errorf("drop: %v", err)
		}
		if got := len(hub.Quarantine()); got != 2 {
			t.Errorf("%d in quarantine, want 2", got)
		}
	})
}

// rawChanges returns the encoded changes of a node's own origin, in order.
func rawChanges(t *testing.T, n *node.Node, space string) (list [][]byte) {
	t.Helper()
	p := attach(t, n)
	p.send(hello(merge.Origin{77}), &crdtsync.Subscribe{Space: space, Vector: &merge.VersionVector{}})
	list = hear[*crdtsync.Changes](p).Changes
	p.conn.Close("done")
	return list
}

// TestExplain asks where a change is: here, at a peer that has it, and at one that
// lacks what comes before it.
func TestExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := open(t), open(t)
		mustUpdate(t, a.Space("s"), add(1))
		join(t, a, b)
		synctest.Wait()
		where := a.Explain(t.Context(), "s", merge.Dot{Origin: a.Origin(), Seq: 1})
		if len(where) != 2 || where[0].State != "applied" || where[1].State != "applied" || where[1].Peer != "inbound" {
			t.Errorf("whereabouts = %+v, want applied twice", where)
		}
		where = a.Explain(t.Context(), "s", merge.Dot{Origin: merge.Origin{5}, Seq: 3})
		if len(where) != 2 || where[1].State != "unknown" || !strings.HasSuffix(where[1].Missing, "/1") {
			t.Errorf("whereabouts = %+v, want unknown, and the first that is missing", where)
		}
	})
}
