package node_test

import (
	"context"
	"errors"
	"slices"
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

func most(limit time.Duration) time.Duration { return limit }

// times returns how long after start the attempts were.
func (a *attempts) times(start time.Time) (list []time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, at := range a.at {
		list = append(list, at.Sub(start))
	}
	return list
}

// saying returns a dial function whose far end says the frames and closes.
func saying(t *testing.T, frames ...crdtsync.Frame) func() (wire.Conn, error) {
	return func() (wire.Conn, error) {
		near, far := wire.Pipe()
		for _, f := range frames {
			b, err := wire.Append(nil, f)
			if err != nil {
				return nil, err
			}
			far.Send(context.Background(), b)
		}
		return near, far.Close("said all")
	}
}

// TestNetworkChangedTriesOnce: the pauses after it are those that were due.
func TestNetworkChangedTriesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := openConfig(t, node.Config{Store: memstore.New(), Random: most})
		d := &attempts{dial: refuse}
		start := time.Now()
		go n.Sync(t.Context(), d)
		time.Sleep(8 * time.Second) // tries at 0, 0.5, 1.5, 3.5 and 7.5 s
		n.NetworkChanged()
		n.NetworkChanged()
		time.Sleep(30 * time.Second)
		want := []time.Duration{0, 500, 1500, 3500, 7500, 8000, 24_000}
		for i := range want {
			want[i] *= time.Millisecond
		}
		if got := d.times(start); !slices.Equal(got, want) {
			t.Errorf("attempts at %v, want %v", got, want)
		}
	})
}

// TestNoRetryLoopWhereItCannotHelp: a peer that wants another version is left
// alone, is tried once when somebody says that something has changed, and again
// after long.
func TestNoRetryLoopWhereItCannotHelp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := openConfig(t, node.Config{Store: memstore.New(), Random: most, Recheck: time.Hour})
		d := &attempts{dial: saying(t, &crdtsync.Goodbye{Code: "needs_upgrade", Reason: "old"})}
		start := time.Now()
		go n.Sync(t.Context(), d)
		time.Sleep(10 * time.Minute)
		if n.Retry("elsewhere") {
			t.Error("Retry knows an address that nobody has given")
		}
		if !n.Retry(d.String()) {
			t.Error("Retry does not know the address")
		}
		time.Sleep(3 * time.Hour)
		again := 10*time.Minute + time.Hour + time.Hour/4
		if got, want := d.times(start), []time.Duration{0, 10 * time.Minute, again, again + time.Hour + time.Hour/4}; !slices.Equal(got, want) {
			t.Errorf("attempts at %v, want %v", got, want)
		}
	})
}

// TestSentAwayComesAgainWhenTold, and is no failure of the endpoint.
func TestSentAwayComesAgainWhenTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := openConfig(t, node.Config{Store: memstore.New(), Random: most})
		d := &attempts{dial: saying(t, &crdtsync.Goaway{Code: "draining", After: 7000, Reason: "update"})}
		go n.Sync(t.Context(), d)
		time.Sleep(50 * time.Second)
		for _, pause := range d.pauses() {
			if pause != 7500*time.Millisecond {
				t.Errorf("came again after %v, want 7 s as told and the random part", pause)
			}
		}
		st := n.Status()
		if p := st.Peers[0]; p.State != "waiting" || p.Failures != 0 || p.Breaker {
			t.Errorf("peer = %+v, want it waiting, without failures", p)
		}
		if got := problems(n); !slices.Equal(got, []string{"peer_draining"}) {
			t.Errorf("problems = %v, want peer_draining", got)
		}
	})
}

// TestBreakerIsOfTheEndpoint: however many want to connect to an address that
// does not answer, one at a time tries, and all are told so.
func TestBreakerIsOfTheEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := openConfig(t, node.Config{Store: memstore.New(), MaxBackoff: 10 * time.Second})
		dialling, atOnce := 0, 0
		guard := make(chan struct{}, 1)
		count := func(by int) {
			guard <- struct{}{}
			dialling += by
			atOnce = max(atOnce, dialling)
			<-guard
		}
		d := &attempts{dial: func() (wire.Conn, error) {
			count(1)
			defer count(-1)
			time.Sleep(5 * time.Second)
			return refuse()
		}}
		ctx, cancel := context.WithCancel(t.Context())
		for range 20 {
			go n.Sync(ctx, d)
		}
		time.Sleep(time.Minute)
		guard <- struct{}{}
		atOnce = 0
		<-guard
		before := len(d.pauses())
		time.Sleep(10 * time.Minute)
		guard <- struct{}{}
		if atOnce != 1 {
			t.Errorf("%d attempts at a time at an endpoint that is down, want 1", atOnce)
		}
		<-guard
		if got := len(d.pauses()) - before; got < 60 || got > 121 {
			t.Errorf("%d attempts of 5 s in 10 minutes, want one after the other", got)
		}
		for _, p := range n.Status().Peers {
			if !p.Breaker || p.Failures < 8 || p.Error == "" {
				t.Fatalf("peer = %+v, want that the breaker is open and why", p)
			}
		}
		cancel()
		time.Sleep(5 * time.Second)
	})
}

// TestBreakerClosesWithTheFirstUse of a connection, while it lasts.
func TestBreakerClosesWithTheFirstUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, peer := open(t), open(t)
		mustUpdate(t, peer.Space("s"), add(1))
		var up atomic.Bool
		d := &attempts{dial: func() (wire.Conn, error) {
			if !up.Load() {
				return refuse()
			}
			return (&dialer{to: peer, ctx: t.Context()}).Dial(t.Context())
		}}
		for range 3 {
			go n.Sync(t.Context(), d)
		}
		time.Sleep(30 * time.Minute)
		if p := n.Status().Peers[0]; !p.Breaker {
			t.Fatalf("peer = %+v after half an hour of refusals, want the breaker open", p)
		}
		up.Store(true)
		time.Sleep(3 * time.Minute)
		for _, p := range n.Status().Peers {
			if p.State != "connected" || p.Breaker || p.Failures != 0 {
				t.Errorf("peer = %+v, want all connected", p)
			}
		}
	})
}

// TestUselessConnectionsAreFailures: a peer that says hello and stays, but from
// which nothing is learnt and which acknowledges nothing.
func TestUselessConnectionsAreFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := openConfig(t, node.Config{Store: memstore.New(), Random: most})
		mustUpdate(t, n.Space("s"), add(1))
		d := &attempts{dial: func() (wire.Conn, error) {
			near, far := wire.Pipe()
			p := puppet{t: t, conn: far}
			p.send(hello(merge.Origin{9}))
			p.drain()
			time.AfterFunc(5*time.Second, func() { far.Close("bored") })
			return near, nil
		}}
		go n.Sync(t.Context(), d)
		time.Sleep(30 * time.Minute)
		pauses := d.pauses()
		if last := pauses[len(pauses)-1]; last != 65*time.Second {
			t.Errorf("the last attempt came %v after the one before it, want a minute after its end", last)
		}
	})
}

// refusal is an error of a dialer that says what it is.
type refusal struct{ code string }

func (r refusal) Error() string { return "dial: " + r.code }
func (r refusal) Code() string  { return r.code }

// TestDialersSayWhatIsWrong: the code becomes that of the problem.
func TestDialersSayWhatIsWrong(t *testing.T) {
	for code, final := range map[string]bool{
		"needs_auth": true, "needs_upgrade": true, "bad_address": true, "bad_endpoint": true,
		"untrusted_certificate": true, "peer_unavailable": false, "peer_unreachable": false,
	} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := open(t)
				ctx, cancel := context.WithCancel(t.Context())
				d := &attempts{dial: func() (wire.Conn, error) { return nil, errors.Join(refusal{code}) }}
				go n.Sync(ctx, d)
				time.Sleep(10 * time.Minute)
				st := n.Status()
				if len(st.Problems) != 1 || st.Problems[0].Code != code || st.Problems[0].Action == "" || st.Problems[0].Cause == "" {
					t.Errorf("problems = %+v, want %s", st.Problems, code)
				}
				if tries := len(d.times(time.Now())); tries == 1 != final {
					t.Errorf("%d attempts in 10 minutes, final is %v", tries, final)
				}
				cancel()
				synctest.Wait()
			})
		})
	}
}
