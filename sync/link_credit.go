package sync

// The window with which each Subscribed begins, without a Credit: what a sender
// may have on its way that the receiver has not made durable.
const (
	WindowChanges = 4096
	WindowBytes   = 4 << 20
)

// volume is changes and their bytes.
type volume struct{ changes, bytes uint64 }

func (v *volume) add(batch [][]byte) {
	v.changes += uint64(len(batch))
	for _, raw := range batch {
		v.bytes += uint64(len(raw))
	}
}

func (v volume) plus(w volume) volume { return volume{v.changes + w.changes, v.bytes + w.bytes} }

// minus takes off what w counts, as far as it was counted.
func (v volume) minus(w volume) volume {
	return volume{v.changes - min(v.changes, w.changes), v.bytes - min(v.bytes, w.bytes)}
}

// room returns how much of limit v leaves, at most one frame.
func (v volume) room(limit volume) (count, size int) {
	left := func(limit, used uint64, most int) int {
		return int(min(limit-min(limit, used), uint64(most)))
	}
	return left(limit.changes, v.changes, maxFrameChanges), left(limit.bytes, v.bytes, maxFrameBytes)
}

// begin notes that the peer starts over with what it sends of the space.
func (s *linkSpace) begin(window volume) {
	s.announced = true
	s.taken, s.granted = volume{}, window
}

// room returns how much may be sent in one frame now.
func (l *Link) room(s *linkSpace) (count, size int) {
	if !l.Both(FeatureCredit) {
		return maxFrameChanges, maxFrameBytes
	}
	return s.sent.room(s.limit)
}

func (l *Link) stepCredit(f *Credit, r *Ready) {
	l.withSpace(f.Space, r, func(s *linkSpace) {
		s.limit = volume{max(s.limit.changes, f.Changes), max(s.limit.bytes, f.Bytes)}
	})
}

// grant lets the peer send more once half of the window is used up.
func (l *Link) grant(s *linkSpace, r *Ready) {
	want := s.taken.plus(l.cfg.window())
	half := func(want, granted, window uint64) bool { return want-min(want, granted) >= window/2 }
	w := l.cfg.window()
	if !l.Both(FeatureCredit) || !half(want.changes, s.granted.changes, w.changes) && !half(want.bytes, s.granted.bytes, w.bytes) {
		return
	}
	s.granted = want
	r.Send = append(r.Send, &Credit{s.name, want.changes, want.bytes})
}

// window is what this side lets be on its way to it, never more than the peer
// takes for granted.
func (c *LinkConfig) window() volume {
	if c.Window > 0 {
		return volume{c.Window, WindowBytes}
	}
	return volume{WindowChanges, WindowBytes}
}
