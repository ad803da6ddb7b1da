package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node/internal/pace"
	"github.com/joinery-crdt/joinery/sync/wire"
)

const (
	defaultHandshakes   = 200
	defaultInitialSyncs = 16
	// initialSync is how many changes a peer lacks that takes part in the queue.
	initialSync = 1000
	// Within what time peers come back to a node that restarts.
	leastSpread = 5 * time.Second
	mostSpread  = 10 * time.Minute
)

// admission decides whom the node serves now.
type admission struct {
	mu       sync.Mutex // guards what follows
	doors    *pace.Bucket
	syncs    *pace.Turnstile[*peerLink]
	draining bool
}

func newAdmission(cfg *Config) *admission {
	return &admission{
		doors: pace.NewBucket(cfg.MaxHandshakes, cfg.MaxHandshakes, time.Now()),
		syncs: pace.NewTurnstile[*peerLink](cfg.MaxInitialSyncs),
	}
}

// handshake takes a connection in, or says when to come again.
func (a *admission) handshake() (away *crdtsync.Goaway) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.draining {
		return &crdtsync.Goaway{Code: "draining", After: millis(leastSpread), Reason: "the node is shutting down"}
	}
	if after, ok := a.doors.Take(time.Now()); !ok {
		return &crdtsync.Goaway{Code: "busy", After: millis(after), Reason: "too many connect at once"}
	}
	return nil
}

func millis(d time.Duration) uint64 { return uint64(d.Milliseconds()) }

// drain lets nobody in from now on.
func (a *admission) drain() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.draining = true
}

func (a *admission) isDraining() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.draining
}

// enter lets a link begin to send much, or puts it in line and returns its place.
func (a *admission) enter(l *peerLink) (place int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	place = a.syncs.Enter(l)
	l.lined.Store(place > 0)
	l.inside.Store(place == 0)
	return place
}

// place returns the place of a link that waits in line, 0 if it does not.
func (a *admission) place(l *peerLink) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !l.lined.Load() {
		return 0
	}
	return a.syncs.Enter(l)
}

// leave makes room for the next link.
func (a *admission) leave(l *peerLink) {
	if !l.inside.Load() && !l.lined.Load() {
		return
	}
	a.mu.Lock()
	next, ok := a.syncs.Leave(l)
	l.lined.Store(false)
	l.inside.Store(false)
	if ok {
		next.lined.Store(false)
		next.inside.Store(true)
	}
	a.mu.Unlock()
	if ok {
		_ = next.queue(crdtsync.Ready{Send: []crdtsync.Frame{&crdtsync.Queued{}}})
	}
}

// sendAway answers a connection that is not served now.
func sendAway(ctx context.Context, conn wire.Conn, away *crdtsync.Goaway) error {
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	if b, err := wire.Append(nil, away); err == nil {
		_ = conn.Send(ctx, b)
	}
	_ = conn.Close(away.Reason)
	return &crdtsync.GoawayError{Goaway: *away}
}

// awaitTurn puts the link in line if a step has it send much, and has the step say
// its place. The caller has held l.mu since the step, so that nothing is sent out
// of turn.
func (l *peerLink) awaitTurn(r *crdtsync.Ready) {
	for _, f := range r.Send {
		if s, ok := f.(*crdtsync.Subscribed); ok && s.Changes > initialSync {
			if place := l.node.admission.enter(l); place > 0 {
				l.placeTold.Store(true)
				r.Send = append(r.Send, &crdtsync.Queued{Place: uint64(place)})
			}
		}
	}
}

// repeatPlace returns what to tell a peer that waits in line, and once more when
// it does no longer: what it was told of its place may have overtaken that.
func (l *peerLink) repeatPlace() (r crdtsync.Ready) {
	place := l.node.admission.place(l)
	if told := l.placeTold.Swap(place > 0); told || place > 0 {
		r.Send = append(r.Send, &crdtsync.Queued{Place: uint64(place)})
	}
	return r
}

// Drain lets no more connections in and asks all peers to come again, each after
// a time of its own: as many at a time as the node takes handshakes when it runs
// again. It returns when all links have ended, or with the error of ctx. The
// spaces go on working; Close follows.
func (n *Node) Drain(ctx context.Context) error {
	n.admission.drain()
	links := n.allLinks()
	spread := time.Duration(2*len(links)/n.cfg.MaxHandshakes) * time.Second
	spread = min(max(spread, leastSpread), mostSpread)
	for _, l := range links {
		l.goaway(crdtsync.Goaway{
			Code: "draining", After: millis(n.cfg.Random(spread)), Reason: fmt.Sprintf("%s is shutting down", n.nameForPeople()),
		})
	}
	for _, l := range links {
		select {
		case <-l.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (n *Node) nameForPeople() string {
	if n.cfg.Name == "" {
		return "the node"
	}
	return n.cfg.Name
}

// goaway ends the link when the peer has been told when to come again.
func (l *peerLink) goaway(g crdtsync.Goaway) {
	l.mu.Lock()
	r := l.core.Goaway(g)
	l.mu.Unlock()
	l.finish(l.queue(r))
}
