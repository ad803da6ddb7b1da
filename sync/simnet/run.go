package simnet

// judgeEvery is how many steps lie between two judgements of a node.
const judgeEvery = 40

// Options say how long a run is and of what system.
type Options struct {
	Steps  int     // drawn before healing
	Mutant *Mutant // planted bug, nil for none
	// Only lists the oracles that count, nil for all. It is for measuring what
	// an oracle is worth.
	Only []Oracle
}

func (o Options) bugs() bugs {
	if o.Mutant == nil {
		return bugs{}
	}
	return o.Mutant.bugs
}

// A Result is what a run came to.
type Result struct {
	Seed     uint64
	Knobs    Knobs
	Schedule []Step // drawn, without what healing added
	Steps    int    // executed, healing included
	Hash     uint64 // of everything that happened
	Coverage Coverage
	Changes  int      // ever durable
	Failure  *Failure // nil if every oracle held
}

// Run draws and executes the run of one seed.
func Run(seed uint64, o Options) Result {
	knobs := drawSeed(seed)
	w := newWorld(seed, knobs, o.bugs(), nil)
	w.only = o.Only
	w.begin()
	g := newGenerator(w)
	schedule := make([]Step, 0, o.Steps)
	for len(schedule) < o.Steps && w.failure == nil {
		s := g.next()
		schedule = append(schedule, s)
		w.play(s, judgeEvery)
	}
	return w.result(schedule)
}

// drawSeed returns the knobs of a seed.
func drawSeed(seed uint64) Knobs {
	w := world{seed: seed}
	return drawKnobs(w.random("knobs", 0))
}

// play executes a step and judges a node now and then.
func (w *world) play(s Step, every int) {
	w.do(s)
	if w.failure == nil && w.steps%every == 0 {
		w.sample(w.steps / every)
	}
}

// sample judges one node in the state it is in, unless it was judged in it.
func (w *world) sample(k int) {
	n := w.nodes[k%len(w.nodes)]
	if n.store == nil {
		return
	}
	for i := range w.histories {
		if !n.judged[i] {
			n.judged[i] = true
			n.judge(i)
			n.read(i)
			n.checkMembers(i)
		}
	}
}

// result ends the run and sums it up.
func (w *world) result(schedule []Step) Result {
	if w.failure == nil {
		w.finish()
	}
	changes := 0
	for _, h := range w.histories {
		changes += len(h.records)
		w.coverage[SeenTie] += h.ties()
	}
	for _, n := range w.nodes {
		for _, name := range w.spaces {
			w.coverage[SeenUnread] += int(n.Summary(name).Unread)
		}
	}
	return Result{
		Seed: w.seed, Knobs: w.knobs, Schedule: schedule, Steps: w.steps, Hash: uint64(w.hash),
		Coverage: w.coverage, Changes: changes, Failure: w.failure,
	}
}

// ties counts the changes stamped like another one.
func (h *history) ties() (n int) {
	seen := make(map[uint64]bool, len(h.records))
	for _, r := range h.records {
		if seen[uint64(r.time)] {
			n++
		}
		seen[uint64(r.time)] = true
	}
	return n
}
