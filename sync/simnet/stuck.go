package simnet

import (
	"fmt"
	"strings"
)

// describeStuck says which node lacks what.
func (w *world) describeStuck(bound int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d heartbeats after healing the nodes are not level:", bound)
	for i, h := range w.histories {
		all := bitset{}
		for _, n := range w.nodes {
			for _, r := range h.records {
				if n.applied[i].has(r.id) {
					all.add(r.id)
				}
			}
		}
		for _, n := range w.nodes {
			k := all.missing(n.applied[i].bitset)
			if k < 0 {
				continue
			}
			fmt.Fprintf(&b, "\n    %s lacks %s of %s", n.name(), h.records[k].label, h.space)
			if waiting, missing := n.space(i).Waiting(); waiting > 0 {
				fmt.Fprintf(&b, ", and %d changes wait, the first for %s", waiting, w.label(missing))
			}
		}
	}
	return b.String()
}

// describeUnaware says which link believes what.
func (w *world) describeUnaware(bound int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d heartbeats after the nodes are level:", bound)
	for _, n := range w.nodes {
		for id, s := range n.sides {
			if s == nil {
				continue
			}
			for _, p := range s.link.Report() {
				if !p.Level || p.Missing > 0 {
					fmt.Fprintf(&b, "\n    %s believes of %s in %s: level %v, %d changes not acknowledged",
						n.name(), w.nodes[id].name(), p.Name, p.Level, p.Missing)
				}
			}
		}
	}
	return b.String()
}
