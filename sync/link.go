package sync

import (
	"errors"
	"fmt"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A Local is what a link reads of its own node. A space that does not exist yet
// is an empty one.
type Local interface {
	// Spaces returns the names of the spaces to keep in sync.
	Spaces() []string
	// Vector returns what is applied and durable, in a vector of the caller's.
	Vector(space string) *merge.VersionVector
	// Head returns the last durable sequence number of one origin.
	Head(space string, o merge.Origin) uint64
	// Summary returns the account of what is applied and durable.
	Summary(space string) Summary
	// Change returns an encoded change out of the log.
	Change(space string, d merge.Dot) ([]byte, error)
}

// A Link is one side of a connection between two nodes, for all their spaces.
// Its queue to the peer is a position in the log, never a buffer: a slow peer
// costs memory for one vector per space.
//
// The driver feeds it frames (Step), heartbeats (Tick) and the news that a
// space has moved (Moved), sends what Ready says, and takes data frames with
// Next whenever the connection can carry one.
type Link struct {
	cfg    LinkConfig
	local  Local
	peer   *Hello // nil until it has said hello
	met    bool   // the peer has answered our hello
	spaces map[string]*linkSpace
	order  []string // names of spaces, ascending
	next   int      // in order, whose turn it is to send
	silent int      // ticks since the peer was last heard
	pings  uint64
	queued uint64 // our place in the peer's queue
}

// A LinkConfig says who is speaking.
type LinkConfig struct {
	Origin merge.Origin
	Name   string
	// MaxSilence is the number of ticks without a frame after which the peer
	// is taken for dead, 0 for 4.
	MaxSilence int
	// MaxSpaces bounds the spaces of one link, 0 for 10,000.
	MaxSpaces int
}

// A Ready is what a step asks of the driver.
type Ready struct {
	// Send is frames to send, in order, before any data frame.
	Send []Frame
	// Offer is changes to stage, to make durable and to commit, in order. The
	// driver then reports with Moved, and with Done for this link.
	Offer []Offered
	// Diverged names spaces in which both sides have applied the same changes
	// and hold different cells.
	Diverged []string
	// Refused is what the peer refused of ours.
	Refused []Nack
	// Err, if set, ends the link once Send is sent.
	Err error
}

// An Offered is a change that came from the peer.
type Offered struct {
	Space  string
	Change *Change
}

// ErrSilent: nothing was heard from the peer for too long.
var ErrSilent = errors.New("sync: the peer is silent")

// NewLink returns a link in its initial state. It keeps local.
func NewLink(cfg LinkConfig, local Local) *Link {
	if cfg.MaxSilence == 0 {
		cfg.MaxSilence = 4
	}
	if cfg.MaxSpaces == 0 {
		cfg.MaxSpaces = 10_000
	}
	return &Link{cfg: cfg, local: local, spaces: make(map[string]*linkSpace)}
}

// Start returns the frames to open with.
func (l *Link) Start() []Frame { return []Frame{l.hello()} }

func (l *Link) hello() Frame {
	return &Hello{MinVersion, Version, l.cfg.Origin, l.cfg.Name}
}

// Peer returns what the peer said of itself, nil before it did.
func (l *Link) Peer() *Hello { return l.peer }

// Step takes one frame from the peer, whose memory it keeps.
func (l *Link) Step(f Frame) (r Ready) {
	l.silent = 0
	switch f := f.(type) {
	case *Hello:
		l.stepHello(f, &r)
		return r
	case *Goodbye:
		r.Err = &GoodbyeError{*f, true}
		return r
	case *Goaway:
		r.Err = &GoawayError{*f, true}
		return r
	}
	if l.peer == nil {
		return r // overtook the hello, or it was lost: it will come again
	}
	switch f := f.(type) {
	case *Welcome:
		l.met = true
	case *Subscribe:
		l.stepSubscribe(f, &r)
	case *Subscribed:
		l.withSpace(f.Space, &r, func(s *linkSpace) { s.answered = true })
	case *Changes:
		l.stepChanges(f, &r)
	case *Ack:
		l.withSpace(f.Space, &r, func(s *linkSpace) { s.ack(f.Heads) })
	case *Nack:
		r.Refused = append(r.Refused, *f)
	case *Frontier:
		l.stepFrontier(f, &r)
	case *Queued:
		l.queued = f.Place
	case *Ping:
		r.Send = append(r.Send, &Pong{f.N})
	}
	return r
}

func (l *Link) stepHello(f *Hello, r *Ready) {
	switch {
	case f.MinVersion > Version || f.MaxVersion < MinVersion:
		r.end("needs_upgrade", fmt.Sprintf("this node speaks versions %d to %d, the peer %d to %d; upgrade the older one",
			MinVersion, Version, f.MinVersion, f.MaxVersion))
		return
	case f.Origin == l.cfg.Origin:
		r.end("self", "both ends are the same node, or one is a copy of the other's data directory")
		return
	}
	r.Send = append(r.Send, &Welcome{min(Version, f.MaxVersion)})
	if l.peer != nil {
		return
	}
	l.peer = f
	for _, name := range l.local.Spaces() {
		l.withSpace(name, r, func(s *linkSpace) { r.Send = append(r.Send, l.subscribe(s)) })
	}
}

func (r *Ready) end(code, reason string) {
	bye := Goodbye{code, reason}
	r.Send = append(r.Send, &bye)
	r.Err = &GoodbyeError{bye, false}
}

// withSpace calls fn with the link's state of a space, made if need be.
func (l *Link) withSpace(name string, r *Ready, fn func(*linkSpace)) {
	s, ok := l.spaces[name]
	if !ok {
		if CheckName("space", name, MaxSpace) != nil || len(l.spaces) >= l.cfg.MaxSpaces {
			r.end("protocol", "too many spaces, or one with an unusable name")
			return
		}
		s = newLinkSpace(name)
		l.spaces[name] = s
		at, _ := slices.BinarySearch(l.order, name)
		l.order = slices.Insert(l.order, at, name)
	}
	fn(s)
}

func (l *Link) subscribe(s *linkSpace) Frame {
	s.announced = true
	return &Subscribe{s.name, l.local.Vector(s.name)}
}

func (l *Link) stepSubscribe(f *Subscribe, r *Ready) {
	l.withSpace(f.Space, r, func(s *linkSpace) {
		if !s.announced {
			r.Send = append(r.Send, l.subscribe(s))
		}
		missing := s.reset(f.Vector, l.local)
		s.repeat = true
		r.Send = append(r.Send, &Subscribed{s.name, missing})
	})
}

func (l *Link) stepChanges(f *Changes, r *Ready) {
	l.withSpace(f.Space, r, func(s *linkSpace) {
		s.active = true
		for _, raw := range f.Changes {
			h, err := ReadHeader(raw)
			if err == nil {
				s.out.Skip(h.Dot)
				s.noteOffered(h.Dot)
				if h.Dot.Seq < l.local.Head(s.name, h.Dot.Origin) {
					continue
				}
			}
			c, err := DecodeChange(raw)
			if err != nil {
				r.end("protocol", err.Error())
				return
			}
			r.Offer = append(r.Offer, Offered{s.name, c})
		}
	})
}

func (l *Link) stepFrontier(f *Frontier, r *Ready) {
	l.withSpace(f.Space, r, func(s *linkSpace) {
		s.peer = f
		mine := l.local.Summary(s.name)
		same := mine.Applied == f.Applied
		if same {
			s.acked.Merge(l.local.Vector(s.name))
		}
		if same && mine.Unread == 0 && f.Unread == 0 && mine.Cells != f.Cells {
			r.Diverged = append(r.Diverged, s.name)
		}
		if !s.announced {
			r.Send = append(r.Send, l.subscribe(s))
		}
	})
}

// Moved tells the link that the space has durably applied changes: per origin
// up to the dot. Call it for changes from anywhere, this peer included.
func (l *Link) Moved(space string, heads []merge.Dot) (r Ready) {
	if l.peer == nil {
		return r
	}
	l.withSpace(space, &r, func(s *linkSpace) {
		if !s.announced {
			r.Send = append(r.Send, l.subscribe(s))
		}
		for _, d := range heads {
			s.out.Add(d)
		}
	})
	return r
}

// Done tells the link what became of changes it offered: applied lists the
// heads they moved, all durable, and refused the ones that were not taken.
func (l *Link) Done(space string, applied []merge.Dot, refused []error) (r Ready) {
	l.withSpace(space, &r, func(s *linkSpace) {
		if len(applied) > 0 {
			r.Send = append(r.Send, &Ack{space, applied})
		}
		for _, err := range refused {
			if e, ok := errors.AsType[*RefusedError](err); ok {
				r.Send = append(r.Send, &Nack{space, e.Dot, refusalCode(e), e.Reason})
			}
		}
	})
	return r
}

func refusalCode(e *RefusedError) string {
	switch e.Kind {
	case ErrForked:
		return "forked"
	case ErrFuture:
		return "future"
	}
	return "rejected"
}

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
	if l.peer == nil {
		return r
	}
	for _, name := range l.local.Spaces() {
		l.withSpace(name, &r, func(*linkSpace) {})
	}
	for _, name := range l.order {
		l.tickSpace(l.spaces[name], &r)
	}
	l.pings++
	r.Send = append(r.Send, &Ping{l.pings})
	return r
}

func (l *Link) tickSpace(s *linkSpace, r *Ready) {
	mine := l.local.Summary(s.name)
	level := s.peer != nil && s.peer.Applied == mine.Applied
	if !level || mine != s.told || s.repeat {
		s.told, s.repeat = mine, false
		r.Send = append(r.Send, &Frontier{s.name, mine.Applied, mine.Cells, mine.Changes, mine.Unread})
	}
	if level {
		s.settled()
	}
	if !s.answered || !level && s.stalled(l.local) {
		r.Send = append(r.Send, l.subscribe(s))
	}
	s.active = false
}
