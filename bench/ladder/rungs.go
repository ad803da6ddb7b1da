package main

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/sync/node"
)

var set = node.ORSet[string]("set")

// together is how many elements share a change here.
const together = 2000

func key(i int) string { return fmt.Sprintf("key-%017d", i) }

// pairOf is two nodes that hold the same n elements and have met.
type pairOf struct {
	*lockstep
	n    int
	a, b *node.Node
	full int // bytes of all cells
	next int // element
	show func(row)
}

// spaces measures the rungs between two nodes whose space has n elements.
func spaces(t *testing.T, n int, show func(row)) {
	synctest.Test(t, func(t *testing.T) {
		l := &lockstep{t: t}
		p := &pairOf{lockstep: l, n: n, a: l.open(false), b: l.open(false), next: n, show: show}
		defer func() { l.check(p.a.Close()); l.check(p.b.Close()) }()
		for from := 0; from < n; from += together {
			p.add(p.a, from, min(n, from+together))
		}
		l.carry(p.a, p.b, &merge.VersionVector{})
		link := l.connect(p.a, p.b)
		l.level(p.a, p.b)
		p.full, _ = l.cells(p.a)
		p.push(link)
		link.end()
		p.cursor()
		p.audits()
		p.truncated()
		p.snapshot()
	})
}

// add adds the elements from one to before another.
func (p *pairOf) add(n *node.Node, from, end int) {
	p.update(n, func(tx *node.Tx) error {
		for i := from; i < end; i++ {
			if err := set.Add(tx, key(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// carry brings what one node has since a vector to another in a drop file.
func (l *lockstep) carry(from, to *node.Node, since *merge.VersionVector) {
	var file bytes.Buffer
	_, err := from.Space(space).Export(l.t.Context(), &file, node.Cut{Since: since})
	l.check(err)
	_, err = to.Import(l.t.Context(), &file)
	l.check(err)
}

// fresh adds that many elements, each in a change of its own.
func (p *pairOf) fresh(n *node.Node, count int) {
	for range count {
		p.add(n, p.next, p.next+1)
		p.next++
	}
}

func (p *pairOf) row(goal, rung, what string, c cost, checks ...check) {
	p.show(row{goal: goal, rung: rung, what: what, n: p.n, cost: c, full: p.full, checks: checks})
}

// push is rung 0: both are connected and level.
func (p *pairOf) push(link *link) {
	link.start()
	for range 200 {
		p.fresh(p.a, 1)
		p.settle()
	}
	c := link.stop()
	c.asking = 0 // nobody asked
	p.level(p.a, p.b)
	p.row("", "0 push", "200 adds, each sent by itself", c)
}

// cursor is rung 1a: a device comes back to a node that it knows.
func (p *pairOf) cursor() {
	p.fresh(p.b, 200)
	p.fresh(p.a, 3)
	link := p.connect(p.a, p.b)
	p.level(p.a, p.b)
	link.end()
	c := link.stop()
	response := float64(c.control[1] + c.payload[1])
	p.row("10", "1a cursor", "200 adds there, 3 here", c,
		check{"request", float64(c.request), 32}, check{"response/changes", response / float64(c.changes[1]), 1.03},
		check{"trips", float64(c.asking), 1})
}

// snapshot is rung 4: a new node, and a log that was truncated.
func (p *pairOf) snapshot() {
	c := p.open(false)
	link := p.connect(c, p.a)
	p.level(p.a, c)
	got := link.stop()
	link.end()
	p.check(c.Close())
	p.row("", "4 snapshot + tail", "everything: a new node", got)
}

// truncated is rung 2: what is missing has left the log.
func (p *pairOf) truncated() {
	const gone = 1000
	p.update(p.a, func(tx *node.Tx) error {
		for i := range gone {
			if err := set.Remove(tx, key(i*(p.n/gone)+i%3)); err != nil {
				return err
			}
		}
		return nil
	})
	v := p.a.Space(space).Vector()
	p.check(p.a.Space(space).Truncate(p.t.Context(), node.Horizon{Log: v}))
	link := p.connect(p.b, p.a)
	p.level(p.a, p.b)
	link.end()
	c := link.stop()
	p.row("11", "2 log truncated", "1,000 removals, scattered", c,
		check{"control", float64(c.total()), 12_000}, check{"trips", float64(c.asking), 1})
}
