package sync

import (
	"bytes"
	"fmt"
	"time"
)

// An Access is what a peer may do with a space.
type Access uint8

// The rights, ascending: each contains those before it.
const (
	AccessNone Access = iota
	AccessRead
	AccessWrite
)

// A Grant is what a credential allows.
type Grant struct {
	// Access returns what the peer may do with a space; nil allows everything.
	// It is asked again for each frame.
	Access func(space string) Access
	// Until is when the grant ends in Unix milliseconds, 0 for never.
	Until uint64
}

// Bounds of what a guarded link does for a peer that has not authenticated.
const (
	maxEarlyFrames = 64
	maxEarlyTicks  = 5
)

// access returns what the peer may do with a space.
func (l *Link) access(space string) Access {
	if l.grantOf.Access == nil {
		return AccessWrite
	}
	return l.grantOf.Access(space)
}

// admitted reports whether the peer may speak about spaces.
func (l *Link) admitted() bool { return l.peer != nil && (!l.cfg.Guard || l.granted) }

// Admitted reports whether the peer has said who it is and, if the link is
// guarded, proven it.
func (l *Link) Admitted() bool { return l.admitted() }

// Met reports whether the peer has said who it is, and proven it if this side asks
// for that, and has answered if this side has shown a credential.
func (l *Link) Met() bool { return l.admitted() && (l.proven == nil || l.met) }

// early counts a frame that came before it was allowed, and ends the link when
// there are too many.
func (l *Link) early(r *Ready) {
	if l.cfg.Guard {
		if l.earlyFrames++; l.earlyFrames > maxEarlyFrames {
			r.end("needs_auth", "too many frames without a credential; send AUTH after HELLO")
		}
	}
}

// stepAuth hands a credential to the driver.
func (l *Link) stepAuth(a Auth, r *Ready) {
	if !l.cfg.Guard || l.peer == nil {
		return // the peer will say it again; nobody here checks it otherwise
	}
	if l.early(r); r.Err == nil {
		r.Auth = &a
	}
}

// Admit says that the credential of Ready.Auth is good. The link keeps g, in
// place of the grant before it.
func (l *Link) Admit(g Grant) (r Ready) {
	first := !l.granted
	l.grantOf, l.granted, l.earlyFrames = g, true, 0
	if l.peer == nil {
		return r
	}
	r.Send = append(r.Send, l.welcome(l.peer))
	if first {
		l.open(&r)
		return r
	}
	for _, s := range l.order {
		if l.access(s.name) == AccessNone && s.out != nil {
			s.out, s.outgoing = nil, nil
			r.Send = append(r.Send, &Revoked{s.name, "forbidden", "the new credential does not cover the space"})
		}
	}
	return r
}

// Deny says that the credential of Ready.Auth is not good, and ends the link.
func (l *Link) Deny(reason string) (r Ready) {
	r.end("needs_auth", reason)
	return r
}

// prove sends this node's credential: at first, and when there is another, until
// the peer has answered it.
func (l *Link) prove(r *Ready) {
	if l.cfg.Prove == nil || l.peer == nil {
		return
	}
	a := l.cfg.Prove(l.peer)
	if a == nil {
		return
	}
	same := l.proven != nil && l.proven.Scheme == a.Scheme && bytes.Equal(l.proven.Credential, a.Credential)
	switch {
	case !l.met:
		r.Send = append(r.Send, a)
	case !same || !l.accepted:
		update := AuthUpdate(*a)
		r.Send = append(r.Send, &update)
	default:
		return
	}
	l.proven, l.accepted = a, false
}

// stepWelcome takes the peer's answer to a hello or a credential. After another
// credential the peer is asked again for what the one before did not cover.
func (l *Link) stepWelcome(r *Ready) {
	if l.peer == nil {
		return
	}
	renewed := l.met && !l.accepted
	l.met, l.accepted = true, true
	for _, s := range l.order {
		if renewed && s.revoked {
			s.revoked = false
			l.ask(s, r)
		}
	}
}

// tickAuth ends a link whose peer has not proven who it is, or no longer.
func (l *Link) tickAuth(r *Ready) {
	if !l.cfg.Guard {
		return
	}
	if !l.granted {
		if l.earlyTicks++; l.earlyTicks > maxEarlyTicks {
			r.end("needs_auth", "no credential came in time; send AUTH after HELLO")
		}
		return
	}
	if until := l.grantOf.Until; until != 0 && l.clock() > until {
		r.end("needs_auth", fmt.Sprintf("the credential ended at %s; send a new one before the old one ends",
			time.UnixMilli(int64(until)).UTC().Format(time.RFC3339)))
	}
}

// revoked takes the news that this node may not have a space.
func (l *Link) stepRevoked(f *Revoked, r *Ready) {
	if s, ok := l.spaces[f.Space]; ok {
		s.revoked, s.out, s.outgoing = true, nil, nil
		r.Revoked = append(r.Revoked, *f)
	}
}

func (l *Link) stepUnsubscribe(f *Unsubscribe) {
	if s, ok := l.spaces[f.Space]; ok {
		s.out, s.wanted, s.outgoing, s.had = nil, nil, nil, nil
	}
}
