package main

import (
	"fmt"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/sync/node"
)

// audits is rung 3: the cells are not what the changes say, and nobody knows why.
func (p *pairOf) audits() {
	link := p.connect(p.a, p.b)
	p.level(p.a, p.b)
	var keys [][]byte
	p.full, keys = p.cells(p.a)
	scattered := func(count int) func(i int) bool {
		return func(i int) bool { return i%(len(keys)/count) == 7 && i/(len(keys)/count) < count }
	}
	c := p.audit(link, p.a)
	p.row("12", "3 unknown history", "nothing", c, check{"control", float64(c.total()), 40}, check{"trips", float64(c.asking), 1})

	half := func(odd int) func(i int) bool {
		return func(i int) bool { return scattered(1000)(i) && i/(len(keys)/1000)%2 == odd }
	}
	p.damage(p.a, keys, half(0), nil)
	p.damage(p.b, keys, half(1), nil)
	c = p.audit(link, p.a)
	p.row("12", "3 unknown history", "1,000 cells lost, scattered, half on each side", c,
		check{"control", float64(c.total()), 18_500}, check{"trips", float64(c.asking), 1})

	p.damage(p.b, keys, scattered(1000), nil)
	c = p.audit(link, p.a)
	p.row("12", "3 unknown history", "1,000 lost there, found by a scheduled audit", c,
		check{"control", float64(c.total()), 18_500})

	cluster := min(10_000, len(keys)/10)
	p.damage(p.a, keys, func(i int) bool { return i >= len(keys)/3 && i < len(keys)/3+cluster }, []byte{0xff})
	c = p.audit(link, p.a)
	p.row("13", "3 unknown history", fmt.Sprintf("%d cells in a row altered", cluster), c,
		check{"control", float64(c.total()), 2000}, check{"trips", float64(c.asking + c.repairing), 4})
	link.end()
}

// damage puts junk in place of the cells that are picked, or loses them for nil,
// behind the node's back.
func (p *pairOf) damage(n *node.Node, keys [][]byte, pick func(i int) bool, junk []byte) {
	p.check(n.Store().Update(p.t.Context(), func(tx store.Tx) error {
		for i, k := range keys {
			if !pick(i) {
				continue
			}
			var err error
			if junk == nil {
				err = tx.Delete(space, store.Cells, k)
			} else {
				err = tx.Put(space, store.Cells, k, junk)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

// audit has a node compare cells with the other and checks that both are whole
// then.
func (p *pairOf) audit(link *link, asks *node.Node) cost {
	done := make(chan error, 1)
	link.start()
	go func() {
		_, err := asks.Space(space).Audit(p.t.Context(), "")
		done <- err
	}()
	var err error
	p.until("audited", func() bool {
		select {
		case err = <-done:
			return true
		default:
			return false
		}
	})
	c := link.stop()
	p.check(err)
	p.level(p.a, p.b)
	for _, n := range []*node.Node{p.a, p.b} {
		if whole, _ := p.cells(n); whole != p.full {
			p.t.Fatalf("ladder: %d bytes of cells after an audit, want %d", whole, p.full)
		}
	}
	return c
}
