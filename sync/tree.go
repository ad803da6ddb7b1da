package sync

import "github.com/joinery-crdt/joinery/merge"

// Tree mode. Among nodes that are each connected to several others, pushing to
// all of them brings a change to a node once per connection, nearly. A node that
// gets what it had already from elsewhere says Prune, and the two push to each
// other no more: they only go on telling their frontiers. What is left of the
// connections is a tree, over which a change comes to each node once. When it
// breaks, who has been without news for two heartbeats while the other has some
// subscribes again, and so does at once who sees a connection end.
//
// Source: Leitão, Pereira, Rodrigues, "Epidemic Broadcast Trees", SRDS 2007,
// whose lazy push is the Frontier here.

// FeatureTree is named in a Hello by a node that uses tree mode; it takes two.
const FeatureTree = "tree"

// Prune says that the sender had all of a Changes from elsewhere: push to each
// other no more until one of the two subscribes.
type Prune struct{ Space string }

func (*Prune) frame() {}

// Heartbeats in which a pruned connection is left alone although the two are not
// level: while nothing comes, and while something does.
const (
	graftAfter  = 2
	graftAtMost = 16
)

// tree is a link's state of one space in tree mode.
type tree struct {
	lazy    bool                // nothing is pushed
	heard   merge.VersionVector // what the peer has sent, to tell what it repeats
	changes uint64              // applied at the last tick
	idle    int                 // ticks without news, not level
	behind  int                 // ticks not level
}

// eager pushes again.
func (t *tree) eager() { t.lazy, t.idle, t.behind = false, 0, 0 }

// foreign notes that the peer has sent d and reports whether it is known here
// and not from this peer.
func (l *Link) foreign(s *linkSpace, d merge.Dot) bool {
	if !l.Both(FeatureTree) {
		return false
	}
	return s.tree.heard.Raise(d) && d.Seq <= l.local.Head(s.name, d.Origin)
}

// Repeated tells the link that all it offered of a space at once had come from
// elsewhere meanwhile. It matters in tree mode only.
func (l *Link) Repeated(space string) (r Ready) {
	if l.Both(FeatureTree) {
		l.withSpace(space, &r, func(s *linkSpace) { l.prune(s, &r) })
	}
	return r
}

func (l *Link) prune(s *linkSpace, r *Ready) {
	s.tree.lazy = true
	r.Send = append(r.Send, &Prune{s.name})
}

func (l *Link) stepPrune(f *Prune, r *Ready) {
	if l.Both(FeatureTree) {
		l.withSpace(f.Space, r, func(s *linkSpace) { s.tree.lazy = true })
	}
}

// starved reports whether a pruned link is to be used again.
func (s *linkSpace) starved(changes uint64, level bool) bool {
	t := &s.tree
	if level {
		t.idle, t.behind = 0, 0
		return false
	}
	t.behind++
	if t.idle++; changes != t.changes {
		t.idle, t.changes = 0, changes
	}
	return t.idle >= graftAfter || t.behind >= graftAtMost
}

// Graft makes the link push all spaces again, and asks for what it lacks. The
// driver calls it when another link of the node has ended.
func (l *Link) Graft() (r Ready) {
	for _, s := range l.order {
		if s.tree.lazy {
			l.ask(s, &r)
		}
	}
	return r
}

// Pruned returns the number of spaces that the link does not push.
func (l *Link) Pruned() (n int) {
	for _, s := range l.spaces {
		if s.tree.lazy {
			n++
		}
	}
	return n
}
