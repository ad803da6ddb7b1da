package simnet

import (
	"math/rand/v2"
)

// A generator draws steps that make sense in the world as it is.
type generator struct {
	w     *world
	r     *rand.Rand
	menu  []choice
	total int
}

// A choice is a kind of step and how often it is drawn.
type choice struct {
	weight int
	draw   func() (Step, bool) // false if there is no such step now
}

func newGenerator(w *world) *generator {
	g := &generator{w: w, r: w.random("steps", 0)}
	k := &w.knobs
	g.add(1000, g.deliver)
	g.add(10*k.Write, g.write)
	g.add(10*k.Tick, g.tick)
	g.add(10*k.Visit, g.visit)
	g.add(60, g.connect)
	// Faults are given per mille of steps; the weights above sum up to about
	// 1,700.
	g.add(2*k.Crash, func() (Step, bool) { return g.machine(Crash), true })
	g.add(2*k.Pause, func() (Step, bool) { return g.machine(Pause), true })
	g.add(2*k.Reset, func() (Step, bool) { return g.pair(Reset), true })
	g.add(2*k.HalfOpen, func() (Step, bool) { return g.pair(HalfOpen), true })
	g.add(k.Reset, func() (Step, bool) { return g.pair(SendAway), true })
	g.add(2*k.Partition, func() (Step, bool) { return g.pair(Block), true })
	g.add(2*k.DiskFull, func() (Step, bool) { return g.machine(Fill), true })
	g.add(2*k.Jump, g.jump)
	g.add(2*k.Rollback, func() (Step, bool) { return g.machine(Rollback), true })
	g.add(4*(k.Restore+k.Rollback), func() (Step, bool) { return g.machine(Backup), true })
	g.add(2*k.Restore, func() (Step, bool) { return g.machine(Restore), true })
	g.add(2*k.Clone, func() (Step, bool) { return Step{Do: Clone, Node: g.node(), Peer: g.node()}, true })
	g.add(2*k.Retire, func() (Step, bool) { return g.machine(Retire), true })
	g.add(2*k.Truncate, g.truncate)
	g.add(2*k.Trim, func() (Step, bool) { s, ok := g.truncate(); s.Do = Trim; return s, ok })
	g.add(2*k.Dismiss, func() (Step, bool) { return Step{Do: Dismiss, Node: g.node(), Peer: g.node()}, true })
	g.add(2*k.Dismiss, func() (Step, bool) { return Step{Do: Readmit, Node: g.node(), Peer: g.node()}, true })
	g.add(100, g.mend)
	return g
}

func (g *generator) add(weight int, draw func() (Step, bool)) {
	g.menu = append(g.menu, choice{weight, draw})
	g.total += weight
}

// next draws a step.
func (g *generator) next() Step {
	for {
		at := g.r.IntN(g.total)
		for _, c := range g.menu {
			if at -= c.weight; at >= 0 {
				continue
			}
			if s, ok := c.draw(); ok {
				s.Wait = g.r.Int64N(g.w.knobs.MaxWait + 1)
				return s
			}
			break
		}
	}
}

func (g *generator) node() int { return g.r.IntN(len(g.w.nodes)) }

func (g *generator) machine(do Verb) Step { return Step{Do: do, Node: g.node()} }

// pair draws two nodes that connect, in either order.
func (g *generator) pair(do Verb) Step {
	p := g.w.links[g.r.IntN(len(g.w.links))]
	if g.r.IntN(2) == 0 {
		p[0], p[1] = p[1], p[0]
	}
	return Step{Do: do, Node: p[0].id, Peer: p[1].id}
}

func (g *generator) tick() (Step, bool) {
	s := g.machine(Tick)
	return s, g.w.nodes[s.Node].running()
}

func (g *generator) jump() (Step, bool) {
	s := g.machine(Jump)
	s.Amount = g.r.Int64N(2*g.w.knobs.Leap+1) - g.w.knobs.Leap
	return s, true
}

func (g *generator) truncate() (Step, bool) {
	s := g.machine(Truncate)
	s.Space, s.Amount, s.Crash = g.r.IntN(g.w.knobs.Spaces), g.r.Int64N(101), g.crashInside()
	if g.r.IntN(4) == 0 {
		s.Amount += 101
	}
	return s, g.w.nodes[s.Node].running()
}

// connect draws a pair that is not connected and could be.
func (g *generator) connect() (Step, bool) {
	s := g.pair(Connect)
	a, b := g.w.nodes[min(s.Node, s.Peer)], g.w.nodes[max(s.Node, s.Peer)]
	s.Node, s.Peer = a.id, b.id
	return s, !g.w.connected(a, b) && a.running() && b.running()
}

// mend draws the end of a fault.
func (g *generator) mend() (Step, bool) {
	n := g.w.nodes[g.node()]
	p := g.pair(Unblock)
	switch {
	case n.store == nil:
		return Step{Do: Restart, Node: n.id}, true
	case n.paused:
		return Step{Do: Resume, Node: n.id}, true
	case n.full:
		return Step{Do: Free, Node: n.id}, true
	}
	return p, g.w.pipe(g.w.nodes[p.Node], g.w.nodes[p.Peer]).blocked
}

// deliver draws a direction with frames in flight, and what becomes of one.
func (g *generator) deliver() (Step, bool) {
	from, to := g.direction()
	if from == nil {
		return Step{}, false
	}
	k := &g.w.knobs
	s := Step{Do: Deliver, Node: to.id, Peer: from.id, Crash: g.crashInside()}
	if g.r.IntN(100) < k.Reorder {
		s.Nth = g.overtaker(g.w.pipe(from, to))
	}
	switch fate := g.r.IntN(100); {
	case fate < k.Loss:
		s.Do = Drop
	case fate < k.Loss+k.Dup:
		s.Do = Repeat
	}
	if g.r.IntN(100) < k.Batch {
		s.Space, s.Ops = g.transaction(to)
	}
	return s, true
}

// overtaker draws a frame that is not the next one: every other time one that
// carries changes, of which there are few.
func (g *generator) overtaker(p *pipe) int {
	nth := g.r.IntN(len(p.frames))
	if p.data == 0 || g.r.IntN(2) == 0 {
		return nth
	}
	for !p.frames[nth].isData() {
		nth = (nth + 1) % len(p.frames)
	}
	return nth
}

// direction draws among the directions in which something can be delivered.
func (g *generator) direction() (from, to *node) {
	var full []int
	for i := range g.w.pipes {
		p := &g.w.pipes[i]
		if len(p.frames) > 0 && g.w.nodes[i%len(g.w.nodes)].running() && (!p.slow || g.r.IntN(8) == 0) {
			full = append(full, i)
		}
	}
	if len(full) == 0 {
		return nil, nil
	}
	i := full[g.r.IntN(len(full))]
	return g.w.nodes[i/len(g.w.nodes)], g.w.nodes[i%len(g.w.nodes)]
}

func (g *generator) crashInside() CrashPoint {
	if g.r.IntN(1000) >= g.w.knobs.CrashInside {
		return NoCrash
	}
	return CrashPoint(1 + g.r.IntN(int(AmidSpread)))
}

func (g *generator) write() (Step, bool) {
	s := g.machine(Write)
	n := g.w.nodes[s.Node]
	if !n.running() {
		return s, false
	}
	s.Space, s.Ops = g.transaction(n)
	s.Crash = g.crashInside()
	return s, true
}

// visit draws a client that moves and a node, to read at or to write.
func (g *generator) visit() (Step, bool) {
	s := g.machine(Call)
	s.Nth = g.r.IntN(g.w.knobs.Clients)
	if s.Space = g.r.IntN(g.w.knobs.Spaces); g.r.IntN(2) == 0 {
		s.Space, s.Ops = g.transaction(g.w.nodes[s.Node])
	}
	return s, g.w.nodes[s.Node].running()
}

// transaction draws a space and what to do in it.
func (g *generator) transaction(n *node) (space int, ops []Op) {
	for range 1 + g.r.IntN(g.w.knobs.MaxOps) {
		ops = append(ops, g.op())
	}
	return g.r.IntN(g.w.knobs.Spaces), ops
}

func (g *generator) op() Op {
	k := &g.w.knobs
	op := Op{Object: objectNames[g.r.IntN(k.Keys)], Kind: g.kind()}
	second := g.r.IntN(5) < 2
	switch op.Kind {
	case lww, mvregister:
		op.Do, op.N = Set, g.r.Int64N(10)
		if second && op.Kind == mvregister && g.r.IntN(2) == 0 {
			op.Do, op.N = Clear, 0
		}
	case pncounter:
		op.Do, op.N = Count, 1+g.r.Int64N(5)
		if g.r.IntN(3) == 0 {
			op.N = -op.N
		}
		if second && g.r.IntN(2) == 0 {
			op.Do, op.N = Zero, 0
		}
	default:
		op.Element = elementNames[g.r.IntN(k.Elements)]
		if second && op.Kind != gset {
			op.Do = Remove
		}
	}
	return op
}

var (
	objectNames  = []string{"k", "l"}
	elementNames = []string{"w", "x", "y", "z"}
)

// kind draws a kind by the weights of the run.
func (g *generator) kind() string {
	total := 0
	for _, weight := range g.w.knobs.Kinds {
		total += weight
	}
	at := g.r.IntN(total)
	for i, weight := range g.w.knobs.Kinds {
		if at -= weight; at < 0 {
			return kindNames[i]
		}
	}
	return kindNames[0]
}
