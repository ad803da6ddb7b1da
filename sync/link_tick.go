package sync

// Tick is a heartbeat of the driver's clock. It repeats what may have been lost
// and asks again for what should have come.
func (l *Link) Tick() (r Ready) {
	if l.silent++; l.silent > l.cfg.MaxSilence {
		r.Err = ErrSilent
		return r
	}
	if !l.met || l.peer == nil {
		r.Send = append(r.Send, l.hello())
	}
	l.prove(&r)
	if l.tickAuth(&r); r.Err != nil || !l.admitted() {
		return r
	}
	for _, name := range l.local.Spaces() {
		l.withSpace(name, &r, func(*linkSpace) {})
	}
	for _, s := range l.order {
		l.tickSpace(s, &r)
	}
	l.pings++
	r.Send = append(r.Send, &Ping{l.pings})
	return r
}

func (l *Link) tickSpace(s *linkSpace, r *Ready) {
	if s.revoked || l.access(s.name) == AccessNone {
		return
	}
	mine := l.local.Summary(s.name)
	level := s.peer != nil && s.peer.Applied == mine.Applied
	if !level || mine != s.told || s.repeat || s.differs(mine) {
		s.told, s.repeat = mine, false
		if _, ok := l.chainer(); ok { // first, so that the fingerprint of cells is not compared in vain
			r.Send = append(r.Send, &Chains{s.name, mine.Chains.chains()})
		}
		r.Send = append(r.Send, &Frontier{s.name, mine.Applied, mine.Cells, mine.Changes, mine.Unread})
	}
	if level {
		s.settled()
		l.meet(s, s.peer.Changes, true, r) // its frontier may have come before the last changes
	}
	r.Refused = append(r.Refused, s.unsaid...)
	s.unsaid = nil
	snapshot, fragments := l.tickSnapshot(s, r), l.tickFragments(s, r)
	if !snapshot && !fragments && l.asks(s, mine, level, r) {
		l.ask(s, r)
	}
	l.tickProbe(s, r)
	l.tickForks(s, mine, level, r)
	l.tickAudit(s, mine, r)
	s.active = false
}

// asks reports whether it is time to subscribe again.
func (l *Link) asks(s *linkSpace, mine Summary, level bool, r *Ready) bool {
	if s.tree.lazy && s.answered {
		return s.starved(mine.Changes, level)
	}
	return !s.answered || !level && s.stalled(l.local) && !l.need(s, r)
}
