package main

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/sync/node"
)

// origins is rung 1b: two nodes that have not met hold changes of many origins.
func origins(t *testing.T, count int, show func(row)) {
	synctest.Test(t, func(t *testing.T) {
		l := &lockstep{t: t}
		p := &pairOf{lockstep: l, n: count, a: l.open(false), b: l.open(false), show: show}
		defer func() { l.check(p.a.Close()); l.check(p.b.Close()) }()
		for i := range count {
			author := l.open(false)
			p.add(author, i, i+1)
			l.carry(author, p.a, &merge.VersionVector{})
			l.check(author.Close())
		}
		l.carry(p.a, p.b, &merge.VersionVector{})
		p.next = count
		p.fresh(p.b, 200)
		link := l.connect(p.a, p.b)
		l.level(p.a, p.b)
		link.end()
		p.full, _ = l.cells(p.a)
		c := link.stop()
		p.row("", "1b version vector", fmt.Sprintf("200 adds; %d origins, %.1f B each", count, float64(c.request)/float64(count)), c)
	})
}

// meshes is goal 14: 16 nodes with four connections each.
func meshes(t *testing.T, show func(row)) {
	for _, m := range []struct {
		name  string
		tree  bool
		limit float64
	}{{"flooding", false, 3.27}, {"tree mode", true, 1.10}} {
		synctest.Test(t, func(t *testing.T) {
			const nodes, far, warm, counted = 16, 5, 100, 200
			l := &lockstep{t: t}
			var all []*node.Node
			for range nodes {
				all = append(all, l.open(m.tree))
			}
			p := &pairOf{lockstep: l, n: nodes, show: show}
			p.add(all[0], 0, 1)
			var links []*link
			for i := range nodes {
				links = append(links, l.connect(all[i], all[(i+1)%nodes]), l.connect(all[i], all[(i+far)%nodes]))
			}
			l.level(all...)
			write := func(from, end int) {
				for i := from; i < end; i++ {
					p.add(all[i*7%nodes], i, i+1)
					l.settle()
				}
			}
			write(1, warm)
			for _, link := range links {
				link.start()
			}
			write(warm, warm+counted)
			var sum cost
			for _, link := range links {
				c := link.stop()
				sum.delivered += c.delivered
				sum.payload[0] += c.payload[0] + c.payload[1]
				sum.control[0] += c.control[0]
				sum.control[1] += c.control[1]
			}
			l.level(all...)
			for _, link := range links {
				link.end()
			}
			for _, n := range all {
				l.check(n.Close())
			}
			p.row("14", "mesh, degree 4", fmt.Sprintf("%d adds, %s", counted, m.name), sum,
				check{"times the minimum", float64(sum.delivered) / (counted * (nodes - 1)), m.limit})
		})
	}
}

// deltas is goal 9: what changes take as differences of a set.
func deltas(show func(row)) {
	const base, ops, yjs200Ops = 100_000, 1000, 1588
	me, them := merge.Origin{1}, merge.Origin{2}
	var s crdt.ORSet[string]
	for i := range base {
		s.Add(me, key(i))
	}
	since := func(do func()) float64 {
		then := s.Context().Clone()
		do()
		b, _ := s.Since(then).MarshalBinary() // strings are encoded always
		return float64(len(b))
	}
	out := func(what string, bytes float64, c check) {
		show(row{goal: "9", rung: "0 as a difference", what: what, n: base, cost: cost{payload: [2]int{int(bytes), 0}}, checks: []check{c}})
	}
	payload := 0
	bytes := since(func() {
		for i := range ops {
			s.Add(them, key(base+i))
			payload += len(key(base + i))
		}
	})
	out("1,000 adds", bytes, check{"bytes an add beyond its key", (bytes - float64(payload)) / ops, 2})
	bytes = since(func() {
		for i := range ops {
			s.Remove(them, key(i*base/ops+i%7))
		}
	})
	out("1,000 removes", bytes, check{"bytes a remove", bytes / ops, 4})
	bytes = since(func() {
		for i := range 100 {
			s.Add(them, fmt.Sprintf("w-%03d", i))
			s.Remove(them, key(50+i*base/100))
		}
	})
	out("100 adds of 5 bytes, 100 removes", bytes, check{"of Yjs's 1,588", bytes / yjs200Ops, 0.6})
}
