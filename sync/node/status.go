package node

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A Status says what a node holds, how its peers are, and, where something does
// not flow, why and what to do.
type Status struct {
	Origin   merge.Origin  `json:"origin"`
	Name     string        `json:"name,omitempty"`
	Spaces   []SpaceStatus `json:"spaces"`
	Peers    []PeerStatus  `json:"peers"`
	Problems []Problem     `json:"problems"`
	// Stability is that of each space with changes, by name.
	Stability []Stability `json:"stability,omitempty"`
	// Rungs is how what came from peers came, since the node was opened.
	Rungs Rungs `json:"rungs"`
}

// A SpaceStatus is the state of one space.
type SpaceStatus struct {
	Name    string `json:"name"`
	Changes uint64 `json:"changes"` // applied
	Origins int    `json:"origins"` // that ever wrote
	Waiting int    `json:"waiting"` // changes that came before what they depend on
	Unread  uint64 `json:"unread"`  // ops of types this node does not know
	// Signed is how many changes their devices have signed, as far as is known here.
	Signed      uint64 `json:"signed"`
	Quarantined int    `json:"quarantined"` // changes that were refused and are kept
	Fingerprint string `json:"fingerprint"` // of the contents, hexadecimal
	// Staged is how many parts of a snapshot have come, durably, that is not
	// complete yet.
	Staged int `json:"staged,omitempty"`
}

// A Stability says how much of a space every device that is waited for has
// durably, and for whom the rest waits.
type Stability struct {
	Space    string    `json:"space"`
	Stable   uint64    `json:"stable"` // changes
	Blockers []Blocker `json:"blockers"`
}

// A PeerStatus is the state of one peer.
type PeerStatus struct {
	Address string `json:"address"`
	State   string `json:"state"` // connecting, connected, waiting, refused (trying again cannot help)
	Name    string `json:"name,omitempty"`
	Origin  string `json:"origin,omitempty"`
	Error   string `json:"error,omitempty"` // why it is not connected
	// Failures is how many attempts in a row were of no use.
	Failures int `json:"failures,omitempty"`
	// Breaker says that it has failed so often that one attempt is made at a
	// time, whoever wants to connect.
	Breaker bool      `json:"breaker,omitempty"`
	Next    time.Time `json:"next,omitzero"` // next attempt
	// Phi is how strange the silence of a connected peer is: -log10 of the
	// probability that its next heartbeat comes later than now.
	Phi     float64 `json:"phi,omitempty"`
	Suspect bool    `json:"suspect,omitempty"` // phi is 8 or more
	// Place is the place in the queue of the peer, 0 for none.
	Place  uint64       `json:"place,omitempty"`
	Spaces []PeerSpaces `json:"spaces,omitempty"`
	// Rungs is how what came over the connection came.
	Rungs Rungs `json:"rungs,omitzero"`
}

// A PeerSpaces is the state of one space between this node and a peer.
type PeerSpaces struct {
	Name    string `json:"name"`
	Missing uint64 `json:"missing"` // changes the peer has not acknowledged
	Level   bool   `json:"level"`   // both have applied the same changes
}

// A Problem is something that does not flow.
type Problem struct {
	Code   string `json:"code"`
	Space  string `json:"space,omitempty"`
	Peer   string `json:"peer,omitempty"`
	Cause  string `json:"cause"`
	Action string `json:"action"` // what to do about it
}

// Status returns the state of the node.
func (n *Node) Status() Status {
	spaces, peers := n.allSpaces(), n.sortedPeers()
	n.mu.Lock()
	failed := n.failed
	renewals := slices.Clone(n.renewals)
	refused := n.strangers.problems(time.Now())
	n.mu.Unlock()

	st := Status{
		Origin: n.Origin(), Name: n.cfg.Name, Spaces: []SpaceStatus{}, Peers: []PeerStatus{}, Problems: append([]Problem{}, renewals...),
		Rungs: n.allRungs(),
	}
	if failed != nil {
		st.Problems = append(st.Problems, storeProblem(failed))
	}
	if err := store.Health(n.store); err != nil {
		st.Problems = append(st.Problems, Problem{
			Code: "store_unavailable", Cause: err.Error(),
			Action: "make the store reachable again; meanwhile reads fail, and writes wait for it before they do; this node goes on by itself",
		})
	}
	if p, ok := n.clockProblem(); ok {
		st.Problems = append(st.Problems, p)
	}
	if n.admission.isDraining() {
		st.Problems = append(st.Problems, Problem{
			Code: "draining", Cause: "this node is shutting down and takes no connections",
			Action: "none: start it again when it has ended",
		})
	}
	st.Problems = append(st.Problems, refused...)
	for _, s := range spaces {
		s.addStatus(&st)
		s.addStability(&st)
	}
	for _, p := range peers {
		p.addStatus(&st)
	}
	return st
}

func (n *Node) sortedPeers() []*peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.SortedFunc(maps.Keys(n.peers), func(a, b *peer) int { return cmp.Compare(a.address, b.address) })
}

// storeProblem reports the error with which the last commit ended.
func storeProblem(err error) Problem {
	if errors.Is(err, store.ErrUncertain) {
		return Problem{
			Code: "store_failed", Cause: err.Error(),
			Action: "check the disk, then restart this node; nothing that was acknowledged is lost",
		}
	}
	if errors.Is(err, store.ErrReadOnly) {
		return Problem{
			Code: "store_full", Cause: err.Error(),
			Action: "make room on the disk; nothing is written until then, and all that was acknowledged is safe",
		}
	}
	return Problem{
		Code: "store_error", Cause: err.Error(),
		Action: "check the disk and its free space; the last write was not taken, the next one is tried",
	}
}

func (s *Space) addStatus(st *Status) {
	signed := s.signedStatus()
	s.mu.RLock()
	defer s.mu.RUnlock()
	sum := s.core.Summary()
	waiting, missing := s.core.Waiting()
	staged := s.intake.staged()
	if sum.Changes == 0 && waiting == 0 && staged == 0 && len(s.refused) == 0 && len(s.held) == 0 && len(s.splits) == 0 {
		return
	}
	st.Spaces = append(st.Spaces, SpaceStatus{
		Name: s.name, Changes: sum.Changes, Origins: s.core.Origins(), Waiting: waiting,
		Unread: sum.Unread, Signed: signed.covered, Quarantined: len(s.held), Fingerprint: sum.Cells.String(), Staged: staged,
	})
	if waiting > 0 {
		st.Problems = append(st.Problems, Problem{
			Code: "waiting", Space: s.name,
			Cause:  fmt.Sprintf("%d changes wait for others, first for %s", waiting, missing),
			Action: "connect a peer, or import a file, that has it",
		})
	}
	if sum.Unread > 0 {
		st.Problems = append(st.Problems, Problem{
			Code: "unknown_type", Space: s.name,
			Cause:  fmt.Sprintf("%d operations are of types this node does not know; they are kept and passed on", sum.Unread),
			Action: "upgrade this node or register the types",
		})
	}
	for _, o := range slices.SortedFunc(maps.Keys(s.refused), merge.Origin.Compare) {
		e := s.refused[o]
		st.Problems = append(st.Problems, Problem{Code: refusalCode(e), Space: s.name, Cause: e.Error(), Action: s.refusalAction(e)})
	}
	s.addForks(st, &signed)
	st.Problems = append(st.Problems, signed.problems(s.name)...)
	s.addRepairs(st)
	if len(s.held) > 0 && len(s.refused) == 0 {
		st.Problems = append(st.Problems, Problem{
			Code: "quarantined", Space: s.name, Cause: fmt.Sprintf("%d changes were refused and are kept", len(s.held)),
			Action: "see: syncd quarantine list",
		})
	}
	if s.diverged {
		st.Problems = append(st.Problems, Problem{
			Code: "diverged", Space: s.name,
			Cause:  "a peer that has applied as many changes of each origin holds different contents",
			Action: "look for a device that was copied or restored (origin_forked, refused_by_peer); without one, keep both data directories and report this: it is a bug or damaged storage",
		})
	}
}

func refusalCode(e *crdtsync.RefusedError) string {
	switch e.Kind {
	case crdtsync.ErrForked:
		return "origin_forked"
	case crdtsync.ErrFuture:
		return "future_change"
	case crdtsync.ErrForbidden:
		return "change_forbidden"
	case crdtsync.ErrUnknownType:
		return "unknown_type"
	case errUnreadable:
		return "store_error"
	}
	return "change_rejected"
}

func (s *Space) refusalAction(e *crdtsync.RefusedError) string {
	switch e.Kind {
	case crdtsync.ErrForked:
		if e.Dot.Origin == s.node.Origin() {
			return "stop writing on this node, keep its data directory, and start it with an empty one"
		}
		return "find the device with that origin; it was copied or restored and must start from an empty data directory"
	case crdtsync.ErrFuture:
		return "set the clock of the device with that origin, or of this one; the change is taken when its time has come"
	case crdtsync.ErrUnknownType:
		return "upgrade this node or register the types; what it lacks comes then"
	case errUnreadable:
		return "check the disk; the change is asked for again, all others flow"
	}
	return "upgrade the device with that origin; its later changes are held back, all others flow"
}

func (p *peer) addStatus(st *Status) {
	p.mu.Lock()
	link, ps := p.link, PeerStatus{Address: p.address, Name: p.name, Next: p.next}
	lastErr, nacks := p.lastErr, slices.Clone(p.nacks)
	p.mu.Unlock()
	ps.Failures, ps.Breaker = p.ends.failures()
	switch {
	case link != nil:
		ps.State = "connecting"
		st.Problems = append(st.Problems, link.addStatus(&ps)...)
	case lastErr != nil && isFinal(lastErr):
		ps.State = "refused"
	case !ps.Next.IsZero():
		ps.State = "waiting"
	default:
		ps.State = "connecting"
	}
	if link == nil && lastErr != nil {
		ps.Error = lastErr.Error()
		st.Problems = append(st.Problems, linkProblem(p.address, lastErr))
	}
	for _, nack := range nacks {
		st.Problems = append(st.Problems, p.refusal(nack))
	}
	st.Peers = append(st.Peers, ps)
}

// refusal reports a change that does not pass between the two nodes.
func (p *peer) refusal(nack crdtsync.Nack) Problem {
	cause := fmt.Sprintf("%s: %s", nack.Dot, nack.Reason)
	if nack.Code == "needs_upgrade" {
		return Problem{Code: nack.Code, Space: nack.Space, Peer: p.address, Cause: cause, Action: nack.Hint}
	}
	return Problem{Code: "refused_by_peer", Space: nack.Space, Peer: p.address, Cause: cause, Action: "see the status of that peer"}
}

func (l *peerLink) addStatus(ps *PeerStatus) []Problem {
	l.mu.Lock()
	defer l.mu.Unlock()
	problems := l.addVitals(ps)
	hello := l.core.Peer()
	if hello == nil {
		return problems
	}
	if ps.Name, ps.Origin = hello.Name, hello.Origin.String(); l.core.Met() {
		ps.State = "connected"
	}
	ps.Rungs = Rungs(l.core.Rungs())
	for _, s := range l.core.Report() {
		ps.Spaces = append(ps.Spaces, PeerSpaces{s.Name, s.Missing, s.Level})
		if s.Forked {
			problems = append(problems, Problem{
				Code: "chains_differ", Space: s.Name, Peer: l.peer.address,
				Cause:  "the peer holds other changes under the same numbers: an origin has forked, and which one is being looked for",
				Action: "none, unless it lasts: then the log of one of the two no longer holds where it forked; keep both data directories, and start one of them from an empty one",
			})
		}
		if s.Revoked {
			problems = append(problems, Problem{
				Code: "space_forbidden", Space: s.Name, Peer: ps.Address,
				Cause:  "the credential of this device does not cover the space at the peer",
				Action: "give this device a credential that does; all other spaces flow, and nothing of this one is lost",
			})
		}
	}
	return problems
}
