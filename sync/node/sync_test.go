package node_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

var errRefused = errors.New("dial: connection refused")

// attempts is a dialer that notes when it was asked.
type attempts struct {
	dial func() (wire.Conn, error)
	mu   sync.Mutex // guards what follows
	at   []time.Time
}

func (a *attempts) String() string { return "nowhere" }

func (a *attempts) Dial(context.Context) (wire.Conn, error) {
	a.mu.Lock()
	a.at = append(a.at, time.Now())
	a.mu.Unlock()
	return a.dial()
}

// pauses returns the time between each attempt and the next.
func (a *attempts) pauses() (list []time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.at[1:] {
		list = append(list, a.at[i+1].Sub(a.at[i]))
	}
	return list
}

func refuse() (wire.Conn, error) { return nil, errRefused }

// TestPausesGrowWithFullJitter cannot reach a peer for hours: each pause is
// random within a bound that doubles up to MaxBackoff.
func TestPausesGrowWithFullJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const longest = 20 * time.Second
		n := openConfig(t, node.Config{Store: memstore.New(), MaxBackoff: longest})
		d := &attempts{dial: refuse}
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- n.Sync(ctx, d) }()
		time.Sleep(3 * time.Hour)
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("Sync = %v, want the context's error", err)
		}
		var sum time.Duration
		short := 0 // pauses in the lower half of what they may be
		pauses := d.pauses()
		for i, p := range pauses {
			limit := min(500*time.Millisecond<<min(i, 10), longest)
			if p < 0 || p > limit {
				t.Errorf("pause %d is %v, the bound is %v", i, p, limit)
			}
			if sum += p; p < limit/2 {
				short++
			}
		}
		if mean := sum / time.Duration(len(pauses)); mean < longest/4 || mean > longest*3/4 {
			t.Errorf("the mean of %d pauses is %v, want about half of %v", len(pauses), mean, longest)
		}
		if share := float64(short) / float64(len(pauses)); share < 0.3 || share > 0.7 {
			t.Errorf("%.2f of the pauses are in the lower half of their range, want about half", share)
		}
	})
}

// TestStatusSaysWhyAndWhenAgain looks at a peer that cannot be reached and then
// can.
func TestStatusSaysWhyAndWhenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, peer := open(t), open(t)
		var up atomic.Bool
		d := &attempts{dial: func() (wire.Conn, error) {
			if !up.Load() {
				return refuse()
			}
			return (&dialer{to: peer, ctx: t.Context()}).Dial(t.Context())
		}}
		go n.Sync(t.Context(), d)
		synctest.Wait()
		got := n.Status()
		p := got.Peers[0]
		if p.State != "waiting" || p.Error != errRefused.Error() || p.Next.Before(time.Now()) {
			t.Errorf("peer = %+v, want that it waits, why and until when", p)
		}
		if len(got.Problems) != 1 || got.Problems[0].Code != "peer_unreachable" || got.Problems[0].Cause != errRefused.Error() || got.Problems[0].Action == "" {
			t.Errorf("problems = %+v, want peer_unreachable with cause and action", got.Problems)
		}
		up.Store(true)
		time.Sleep(5 * time.Minute)
		got = n.Status()
		if p := got.Peers[0]; p.State != "connected" || p.Error != "" || !p.Next.IsZero() || p.Origin != peer.Origin().String() {
			t.Errorf("peer = %+v, want it connected", p)
		}
		if len(got.Problems) != 0 {
			t.Errorf("problems = %+v once it is mended, want none", got.Problems)
		}
	})
}

// TestPeerThatHangsUpIsNoUsefulPeer says hello and closes, each time: that does
// not make the pauses short again.
func TestPeerThatHangsUpIsNoUsefulPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := open(t)
		d := &attempts{dial: func() (wire.Conn, error) {
			near, far := wire.Pipe()
			b, err := wire.Append(nil, hello(merge.Origin{9}))
			if err != nil {
				return nil, err
			}
			far.Send(t.Context(), b)
			far.Close("busy")
			return near, nil
		}}
		go n.Sync(t.Context(), d)
		time.Sleep(time.Hour)
		if got := len(d.pauses()); got > 400 {
			t.Errorf("%d connections in an hour to a peer that hangs up", got)
		}
	})
}

// TestUsefulConnectionMakesPausesShort breaks a connection that was in use for
// a while after many failures.
func TestUsefulConnectionMakesPausesShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, peer := open(t), open(t)
		mustUpdate(t, peer.Space("s"), add(1))
		ctx, hangUp := context.WithCancel(t.Context())
		tries := 0
		d := &attempts{dial: func() (wire.Conn, error) {
			if tries++; tries == 20 {
				return (&dialer{to: peer, ctx: ctx}).Dial(ctx)
			}
			return refuse()
		}}
		go n.Sync(t.Context(), d)
		for {
			time.Sleep(time.Second)
			if st := n.Status().Peers[0]; st.State == "connected" {
				break
			}
		}
		time.Sleep(time.Minute)
		broken := time.Now()
		hangUp()
		time.Sleep(10 * time.Minute)
		d.mu.Lock()
		defer d.mu.Unlock()
		i := slices.IndexFunc(d.at, func(at time.Time) bool { return !at.Before(broken) })
		if i < 0 || d.at[i].Sub(broken) > 500*time.Millisecond {
			t.Errorf("after a useful connection the next try came too late: %v after it broke", d.at[max(i, 0)].Sub(broken))
		}
	})
}

// TestSyncReturnsOnClose in each of its states.
func TestSyncReturnsOnClose(t *testing.T) {
	for name, dial := range map[string]func(t *testing.T) func() (wire.Conn, error){
		"pausing": func(*testing.T) func() (wire.Conn, error) { return refuse },
		"connected": func(t *testing.T) func() (wire.Conn, error) {
			return func() (wire.Conn, error) { return (&dialer{to: open(t), ctx: t.Context()}).Dial(t.Context()) }
		},
		"unanswered": func(*testing.T) func() (wire.Conn, error) {
			return func() (wire.Conn, error) {
				near, _ := wire.Pipe()
				return near, nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := openConfig(t, node.Config{Store: memstore.New()})
				result := make(chan error, 1)
				go func() { result <- n.Sync(t.Context(), &attempts{dial: dial(t)}) }()
				synctest.Wait()
				n.Close()
				if err := <-result; !errors.Is(err, node.ErrClosed) {
					t.Errorf("Sync = %v, want ErrClosed", err)
				}
				if err := n.Sync(t.Context(), &attempts{dial: refuse}); !errors.Is(err, node.ErrClosed) {
					t.Errorf("Sync of a closed node = %v, want ErrClosed", err)
				}
				x, _ := wire.Pipe()
				if err := n.Serve(t.Context(), x); !errors.Is(err, node.ErrClosed) {
					t.Errorf("Serve of a closed node = %v, want ErrClosed", err)
				}
				if got := n.Status().Peers; len(got) != 0 {
					t.Errorf("peers = %+v, want none", got)
				}
			})
		})
	}
}
