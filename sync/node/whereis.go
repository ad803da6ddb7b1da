package node

import (
	"context"
	"fmt"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// explainWait is how long a peer may take to answer.
const explainWait = 5 * time.Second

// A Whereabouts says where a change is on one device, and what blocks it there.
type Whereabouts struct {
	Peer    string `json:"peer,omitempty"` // address, empty for this node
	Name    string `json:"name,omitempty"`
	State   string `json:"state"`             // applied, waiting, refused, forbidden, unknown, unreachable, silent
	Reason  string `json:"reason,omitempty"`  // why it is not applied
	Missing string `json:"missing,omitempty"` // the change it waits for
	Head    uint64 `json:"head"`              // last number of its origin that is applied there
}

// Explain says where a change of a space is: on this node and on each peer, which
// is asked. It takes as long as the slowest peer, some seconds at most.
func (n *Node) Explain(ctx context.Context, space string, d merge.Dot) []Whereabouts {
	out := []Whereabouts{whereabouts("", n.cfg.Name, locals{n}.Explain(space, d))}
	ctx, cancel := context.WithTimeout(ctx, explainWait)
	defer cancel()
	peers := n.sortedPeers()
	answers := make([]chan Whereabouts, len(peers))
	for i, p := range peers {
		answers[i] = make(chan Whereabouts, 1)
		go func() { answers[i] <- p.explain(ctx, space, d) }()
	}
	for _, a := range answers {
		out = append(out, <-a)
	}
	return out
}

func whereabouts(peer, name string, e crdtsync.Explained) Whereabouts {
	w := Whereabouts{Peer: peer, Name: name, State: e.State, Reason: e.Reason, Head: e.Head}
	if e.Missing.Seq > 0 {
		w.Missing = e.Missing.String()
	}
	return w
}

// explain asks the peer.
func (p *peer) explain(ctx context.Context, space string, d merge.Dot) Whereabouts {
	p.mu.Lock()
	link, name, err := p.link, p.name, p.lastErr
	p.mu.Unlock()
	if link == nil {
		w := Whereabouts{Peer: p.address, Name: name, State: "unreachable"}
		if err != nil {
			w.Reason = err.Error()
		}
		return w
	}
	if h := link.hello(); h != nil {
		name = h.Name
	}
	e, err := link.explain(ctx, space, d)
	if err != nil {
		return Whereabouts{Peer: p.address, Name: name, State: "silent", Reason: err.Error()}
	}
	return whereabouts(p.address, name, e)
}

// explain sends the question and waits for the answer.
func (l *peerLink) explain(ctx context.Context, space string, d merge.Dot) (e crdtsync.Explained, err error) {
	answer := make(chan crdtsync.Explained, 1)
	l.mu.Lock()
	if !l.core.Both(crdtsync.FeatureExplain) {
		l.mu.Unlock()
		return e, fmt.Errorf("node: the peer does not answer such questions; upgrade it")
	}
	l.asked++
	number := l.asked
	if l.questions == nil {
		l.questions = make(map[uint64]chan<- crdtsync.Explained)
	}
	l.questions[number] = answer
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.questions, number)
	}()
	_ = l.queue(crdtsync.Ready{Send: []crdtsync.Frame{&crdtsync.Explain{N: number, Space: space, Dot: d}}})
	select {
	case e = <-answer:
		return e, nil
	case <-ctx.Done():
		return e, ctx.Err()
	}
}

func (l *peerLink) answered(e crdtsync.Explained) {
	l.mu.Lock()
	answer := l.questions[e.N]
	delete(l.questions, e.N)
	l.mu.Unlock()
	if answer != nil {
		answer <- e
	}
}

// Explain answers where a change is on this node.
func (l locals) Explain(space string, d merge.Dot) crdtsync.Explained {
	s := l.node.lookup(space)
	if s == nil {
		return crdtsync.Explained{State: "unknown", Reason: "nothing of the space has come here"}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	e := crdtsync.Explained{State: "unknown", Head: s.core.Head(d.Origin).Seq}
	missing, waits := s.core.WaitsFor(d)
	held, isHeld := s.held[d]
	switch {
	case isHeld:
		e.State, e.Reason = "refused", fmt.Sprintf("%s: %s; it is in quarantine", held.Code, held.Reason)
	case s.core.Contains(d):
		e.State = "applied"
	case s.refused[d.Origin] != nil && s.refused[d.Origin].Dot == d:
		e.State, e.Reason = "refused", s.refused[d.Origin].Reason
	case waits:
		e.State, e.Missing, e.Reason = "waiting", missing, "it came before a change that it depends on"
	case e.Head+1 < d.Seq:
		e.Reason, e.Missing = "it has not come, nor have changes before it", merge.Dot{Origin: d.Origin, Seq: e.Head + 1}
	default:
		e.Reason = "it has not come"
	}
	return e
}

// Missing implements [crdtsync.Gapper].
func (l locals) Missing(space string, n int) []merge.Dot {
	s := l.node.lookup(space)
	if s == nil {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.core.Missing(n)
}
