package sync

import (
	"crypto/sha256"
	"errors"
	"fmt"
)

func (l *Link) stepChanges(f *Changes, r *Ready) {
	l.withSpace(f.Space, r, func(s *linkSpace) {
		s.active = true
		s.taken.add(f.Changes)
		foreign := 0
		for _, raw := range f.Changes {
			known, err := l.stepChange(s, raw, MaxWhole, r)
			if err != nil {
				r.end("protocol", err.Error())
				return
			}
			if known {
				foreign++
			}
		}
		if s.probing() {
			return // nor is the position ours
		}
		if foreign > 0 && foreign == len(f.Changes) {
			l.prune(s, r)
		}
		if len(r.Offer) == 0 {
			l.grant(s, r)
		}
		s.hears(f.Position)
		if r.Position = f.Position; len(r.Offer) == 0 {
			l.meet(s, f.Position, false, r)
		}
	})
}

// stepChange offers one change of at most most bytes, unless it is known or nobody
// could apply it, and reports whether it is known from elsewhere. While it is not
// known which changes of an own origin are to be taken back, nothing is offered: it
// may be built on others of their names. An error says that it has not even a name.
func (l *Link) stepChange(s *linkSpace, raw []byte, most int, r *Ready) (foreign bool, err error) {
	h, err := ReadHeader(raw)
	if err != nil {
		return false, err
	}
	foreign = l.foreign(s, h.Dot)
	s.out.Skip(h.Dot)
	s.noteOffered(h.Dot)
	l.probed(s, h.Dot, func() Hash { return sha256.Sum256(raw) }, r)
	l.witnessed(s, h.Dot, raw, r)
	if s.probing() || h.Dot.Seq < l.local.Head(s.name, h.Dot.Origin) {
		return foreign, nil
	}
	if c, refusal := l.readChange(s, h, raw, most); refusal != nil {
		r.Rejected = append(r.Rejected, Rejected{s.name, raw, refusal})
		r.Send = append(r.Send, newNack(s.name, refusal))
	} else {
		r.Offer = append(r.Offer, Offered{s.name, c})
		if h.Dot.Seq > l.local.Head(s.name, h.Dot.Origin) {
			l.noteFresh(s)
		}
	}
	return foreign, nil
}

// readChange decodes a change, or says why it is refused as it is.
func (l *Link) readChange(s *linkSpace, h Header, raw []byte, most int) (*Change, *RefusedError) {
	if l.access(s.name) < AccessWrite {
		return nil, &RefusedError{h.Dot, ErrForbidden, "who sent it may read the space and not write it"}
	}
	if len(raw) > most {
		return nil, &RefusedError{h.Dot, ErrTooLarge, fmt.Sprintf("a change of %d bytes in one piece, the limit is %d; send it in fragments", len(raw), most)}
	}
	c, err := DecodeChange(raw)
	switch {
	case err == nil:
		return c, nil
	case errors.Is(err, ErrTooLarge):
		return nil, &RefusedError{h.Dot, ErrTooLarge, err.Error()}
	}
	return nil, &RefusedError{h.Dot, ErrMalformed, err.Error()}
}
