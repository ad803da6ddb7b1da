package sync

import (
	"cmp"
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
	// Last returns the head of one origin, with its hash.
	Last(space string, o merge.Origin) Head
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
	order  []*linkSpace // by name, ascending
	next   int          // in order, whose turn it is to send
	silent int          // ticks since the peer was last heard
	pings  uint64
	queued uint64 // our place in the peer's queue

	grantOf     Grant // what the peer may do
	granted     bool  // the peer has proven who it is
	earlyFrames int   // and what it said before that
	earlyTicks  int
	proven      *Auth    // the credential last sent
	accepted    bool     // and the peer has answered it
	sendings    uint64   // snapshots ever sent or offered
	parts       Partials // that have come, unless the driver keeps them
	rungs       Rungs
}

// A LinkConfig says who is speaking.
type LinkConfig struct {
	Origin merge.Origin
	Name   string
	// Former is origins under which the node wrote before, ascending; only the
	// last MaxFormer matter.
	Former []merge.Origin
	// Features is what to use if the peer names it too, ascending; nil for all
	// of [Features].
	Features []string
	// Clock returns the wall clock in Unix milliseconds, nil for not telling.
	Clock func() uint64
	// Heartbeat is the interval of ticks in milliseconds, 0 for not telling.
	Heartbeat uint64
	// Nonce is drawn at random for each connection.
	Nonce Nonce
	// Own reports whether a nonce is one of this node's own connections. Without
	// it a peer of the same origin is taken for this node.
	Own func(Nonce) bool
	// Guard makes the peer prove who it is before anything else: see Ready.Auth.
	Guard bool
	// Mends reports whether the driver would act on a Fork of an origin of this
	// node. Nil is never, so that none are looked for.
	Mends func(space string, o merge.Origin) bool
	// Prove returns what proves to the peer who this node is, nil for nothing.
	// It is asked again at each tick: another credential is sent when it comes.
	Prove func(peer *Hello) *Auth
	// MaxSilence is the number of ticks without a frame after which the peer
	// is taken for dead, 0 for 4.
	MaxSilence int
	// Window is the number of changes that may be on their way, 0 for
	// WindowChanges. It is the same at all nodes: another one is for tests.
	Window uint64
	// Whole is the largest change in bytes that goes in one piece, 0 for MaxWhole,
	// and Fragment the bytes of a fragment, 0 for 64 KiB: others are for tests.
	Whole, Fragment int
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
	// Position, if not 0, is the number of changes at which the space of Offer
	// meets the peer: a driver that comes to it in the transaction that takes
	// them notes the Cursor there, as the last cut in common with the peer.
	Position uint64
	// Meetings are cuts to note as the last ones in common with the peer.
	Meetings []Meeting
	// Staged is parts of snapshots, in order.
	Staged []Staged
	// Abandoned names spaces whose snapshot brings nothing more.
	Abandoned []string
	// Diverged names spaces in which both sides have applied the same changes
	// and hold different cells.
	Diverged []string
	// Refused is what the peer refused of ours.
	Refused []Nack
	// Rejected is changes of the peer that are not even offered. The peer has
	// been told; the driver keeps them where people see them.
	Rejected []Rejected
	// Forks is what shows that this node was restored from a backup or copied.
	// The driver takes a new origin, issues under it what this node wrote after
	// Fork.Common, and ends all links.
	Forks []Fork
	// Splits is what proves that origins have forked. The driver makes it durable,
	// severs the origins and ends all links.
	Splits []Split
	// Auth, if set, is a credential to check. The driver answers with Admit or
	// Deny before the next Step.
	Auth *Auth
	// Revoked is spaces that the peer does not let this node have.
	Revoked []Revoked
	// Explained is answers to the driver's questions.
	Explained []Explained
	Comparing
	// Long is encoded frames that came in pieces, of up to MaxLong bytes. The driver
	// decodes each, and takes the next Step with it. They are its own.
	Long [][]byte
	// Err, if set, ends the link once Send is sent.
	Err error
}

// NewLink returns a link in its initial state. It keeps local.
func NewLink(cfg LinkConfig, local Local) *Link {
	if cfg.MaxSilence == 0 {
		cfg.MaxSilence = 4
	}
	if cfg.MaxSpaces == 0 {
		cfg.MaxSpaces = 10_000
	}
	if cfg.Features == nil {
		cfg.Features = Features()
	}
	return &Link{cfg: cfg, local: local, spaces: make(map[string]*linkSpace)}
}

// Start returns the frames to open with.
func (l *Link) Start() []Frame { return []Frame{l.hello()} }

func (l *Link) hello() Frame {
	return &Hello{
		MinVersion: MinVersion, MaxVersion: Version, Origin: l.cfg.Origin, Name: l.cfg.Name,
		Former: l.cfg.Former, Features: l.cfg.Features, Clock: l.clock(), Nonce: l.cfg.Nonce,
	}
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
	case *Auth:
		l.stepAuth(*f, &r)
		return r
	case *AuthUpdate:
		l.stepAuth(Auth(*f), &r)
		return r
	case *Welcome:
		l.stepWelcome(&r)
		return r
	}
	if !l.admitted() {
		l.early(&r) // it overtook the hello, or that was lost: it will come again
		return r
	}
	switch f := f.(type) {
	case *Subscribe:
		l.stepSubscribe(f, &r)
	case *Resume:
		l.stepResume(f, &r)
	case *Prune:
		l.stepPrune(f, &r)
	case *Rewind:
		l.stepRewind(f, &r)
	case *Subscribed:
		l.withSpace(f.Space, &r, func(s *linkSpace) {
			s.answered, s.unheard = true, false
			s.owed.answered(f.Changes)
			l.compare(s, f.Known, &r)
		})
	case *Changes:
		l.stepChanges(f, &r)
	case *Ack:
		l.withSpace(f.Space, &r, func(s *linkSpace) {
			s.ack(f.Heads)
			s.hears(f.Position)
			l.meet(s, f.Position, false, &r)
		})
	case *Nack:
		r.Refused = append(r.Refused, *f)
	case *Frontier:
		l.stepFrontier(f, &r)
	case *SnapshotBegin, *SnapshotChunk, *SnapshotNamed, *SnapshotEnd, *Spell:
		l.stepSnapshot(f, &r)
	case *Queued:
		l.queued = f.Place
	case *Ping:
		r.Send = append(r.Send, &Pong{f.N})
	case *Fragment:
		l.stepFragment(f, &r)
	case *Partial:
		l.stepPartial(f, &r)
	case *Piece:
		l.stepPiece(f, &r)
	default:
		l.stepControl(f, &r)
	}
	return r
}

// stepControl takes the frames of the control plane.
func (l *Link) stepControl(f Frame, r *Ready) {
	switch f := f.(type) {
	case *Need:
		l.stepNeed(f, r)
	case *Credit:
		l.stepCredit(f, r)
	case *Explain:
		l.stepExplain(f, r)
	case *Explained:
		r.Explained = append(r.Explained, *f)
	case *Revoked:
		l.stepRevoked(f, r)
	case *Unsubscribe:
		l.stepUnsubscribe(f)
	case *Chains, *Heads, *Ask, *Forked:
		l.stepForks(f, r)
	default:
		l.stepComparing(f, r)
	}
}

func (l *Link) stepHello(f *Hello, r *Ready) {
	switch {
	case f.MinVersion > Version || f.MaxVersion < MinVersion:
		r.end("needs_upgrade", fmt.Sprintf("this node speaks versions %d to %d, the peer %d to %d; upgrade the older one",
			MinVersion, Version, f.MinVersion, f.MaxVersion))
		return
	case f.Origin == l.cfg.Origin:
		l.meetsCopy(f, r)
		return
	}
	first := l.peer == nil
	if first {
		l.peer = f
		l.prove(r)
	}
	if !l.admitted() {
		l.early(r)
		return
	}
	r.Send = append(r.Send, l.welcome(f))
	if first {
		l.open(r)
	}
}

// open begins with all spaces.
func (l *Link) open(r *Ready) {
	for _, name := range l.local.Spaces() {
		l.withSpace(name, r, func(s *linkSpace) { r.Send = append(r.Send, l.announce(s)...) })
	}
}

func (r *Ready) end(code, reason string) {
	bye := Goodbye{code, reason}
	r.Send = append(r.Send, &bye)
	r.Err = &GoodbyeError{bye, false}
}

// withSpace calls fn with the link's state of a space, made if need be, unless
// the peer may not have it.
func (l *Link) withSpace(name string, r *Ready, fn func(*linkSpace)) {
	if l.access(name) == AccessNone {
		return
	}
	s, ok := l.spaces[name]
	if !ok {
		if CheckName("space", name, MaxSpace) != nil || len(l.spaces) >= l.cfg.MaxSpaces {
			r.end("protocol", "too many spaces, or one with an unusable name")
			return
		}
		s = newLinkSpace(name, l.cfg.whole())
		l.spaces[name] = s
		at, _ := slices.BinarySearchFunc(l.order, name, func(s *linkSpace, name string) int { return cmp.Compare(s.name, name) })
		l.order = slices.Insert(l.order, at, s)
	}
	fn(s)
}

// subscribe asks for what the node lacks of a space.
func (l *Link) subscribe(s *linkSpace) []Frame {
	s.unheard = true
	s.begin(l.cfg.window())
	s.owed.ask(false)
	v := l.local.Vector(s.name)
	if s.doubt {
		s.doubt, v = false, &merge.VersionVector{}
	}
	v, rest := l.fit(v)
	frames := append(l.resumes(s), &Subscribe{s.name, v, l.known(s.name)})
	return append(frames, acks(s.name, rest, 0)...)
}

func (l *Link) ask(s *linkSpace, r *Ready) { r.Send = append(r.Send, l.subscribe(s)...) }

func (l *Link) stepSubscribe(f *Subscribe, r *Ready) {
	if l.forbidden(f.Space, r) {
		return
	}
	l.withSpace(f.Space, r, func(s *linkSpace) {
		s.revoked = false
		l.compare(s, f.Known, r)
		l.answer(s, f.Vector, l.known(s.name), r)
	})
}

// forbidden reports whether the peer may not have the space, and tells it so.
func (l *Link) forbidden(space string, r *Ready) bool {
	if l.access(space) != AccessNone {
		return false
	}
	r.Send = append(r.Send, &Revoked{space, "forbidden", "the credential does not cover the space"})
	return true
}

// answer starts sending what a peer that has vector lacks.
func (l *Link) answer(s *linkSpace, vector *merge.VersionVector, known []Known, r *Ready) {
	if !s.announced {
		r.Send = append(r.Send, l.announce(s)...)
	}
	s.tree.eager()
	missing := s.reset(vector, l.local, l.cfg.window())
	s.repeat = true
	r.Send = append(r.Send, &Subscribed{s.name, missing, known})
	if c, ok := l.chainer(); ok {
		l.tellForks(s, c, r)
	}
}

func (l *Link) stepFrontier(f *Frontier, r *Ready) {
	l.withSpace(f.Space, r, func(s *linkSpace) {
		s.peer = f
		mine := l.local.Summary(s.name)
		same := mine.Applied == f.Applied
		if same {
			s.acked.Merge(l.local.Vector(s.name))
			s.owed.changes = 0
			s.withdraw()
			l.meet(s, f.Changes, true, r)
		}
		if same && mine.Unread == 0 && f.Unread == 0 && mine.Cells != f.Cells && s.forks.same(mine) {
			r.Diverged = append(r.Diverged, s.name)
		}
		if !s.announced {
			l.ask(s, r)
		}
	})
}

// Moved tells the link that the space has durably applied changes: per origin
// up to the dot. Call it for changes from anywhere, this peer included.
func (l *Link) Moved(space string, heads []merge.Dot) (r Ready) {
	if !l.admitted() {
		return r
	}
	l.withSpace(space, &r, func(s *linkSpace) {
		if !s.announced {
			l.ask(s, &r)
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
			r.Send = append(r.Send, acks(space, applied, l.position(s))...)
		}
		for _, err := range refused {
			e, ok := errors.AsType[*RefusedError](err)
			switch {
			case ok && e.Kind == ErrForked && l.mends(space, e.Dot.Origin):
				l.ownRefused(s, e, &r)
			case ok:
				r.Send = append(r.Send, newNack(space, e))
				if e.Kind == ErrForked {
					l.foreignFork(s, e, &r)
				}
			}
		}
		l.grant(s, &r)
	})
	return r
}
