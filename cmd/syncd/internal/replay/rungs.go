package replay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// The rungs of the anti-entropy ladder that a replay can force, ascending.
const (
	rungPush     = "push"     // rung 0
	rungCursor   = "cursor"   // rung 1a
	rungVector   = "vector"   // rung 1b
	rungPart     = "part"     // rung 2
	rungAudit    = "audit"    // rung 3
	rungSnapshot = "snapshot" // rung 4
)

// ladder is the order in which rungs are forced. The audit comes before logs are
// truncated: a whole log says what a damaged cell was.
var ladder = []string{rungPush, rungCursor, rungVector, rungAudit, rungPart, rungSnapshot}

// parseRungs returns the rungs that a flag names, in the order in which they are
// forced.
func parseRungs(names []string) (rungs []string, err error) {
	if slices.Equal(names, []string{"all"}) {
		return ladder, nil
	}
	for _, name := range names {
		if !slices.Contains(ladder, name) {
			return nil, fmt.Errorf("replay: --rungs takes all, or some of %s, not %q", strings.Join(ladder, ","), name)
		}
	}
	for _, name := range ladder {
		if slices.Contains(names, name) {
			rungs = append(rungs, name)
		}
	}
	return rungs, nil
}

// taken returns how much came over a rung.
func taken(g node.Rungs, rung string) uint64 {
	return map[string]uint64{
		rungPush: g.Push, rungCursor: g.Cursor, rungVector: g.Vector, rungPart: g.Part, rungAudit: g.Audit, rungSnapshot: g.Snapshot,
	}[rung]
}

// heartbeat is that of daemons which are forced over rungs.
const heartbeat = 500 * time.Millisecond

// climb forces one rung after the other: each time, one daemon is put into a
// state in which only that rung helps, and has to say that it has taken it.
type climb struct {
	*fleet
	taker   *daemon
	keeper  *daemon   // keeps its whole log, nil if there are too few daemons for that
	others  []*daemon // that the taker can meet
	changes uint64    // that all have
}

// climb forces the rungs of the configuration, with a part to write for each, on
// daemons that hold as many changes. The last part is written in the end.
func (f *fleet) climb(ctx context.Context, parts []Part, changes uint64) error {
	c := &climb{fleet: f, changes: changes}
	if len(f.daemons) > 3 {
		c.keeper = f.daemons[1]
	}
	for i, rung := range f.cfg.Rungs {
		c.choose(f.rand, rung)
		if err := c.force(ctx, rung, parts[i]); err != nil {
			return fmt.Errorf("replay: rung %s at daemon %s: %w", rung, c.taker.name, err)
		}
	}
	c.choose(f.rand, rungPush)
	if err := c.feed(ctx, c.taker, parts[len(parts)-1]); err != nil {
		return err
	}
	return c.crash(ctx)
}

// choose says which daemon is to take the rung. All connections of the first one
// come through its door, which can break a snapshot off.
func (c *climb) choose(r *rand.Rand, rung string) {
	c.taker = c.daemons[0]
	if rung != rungSnapshot {
		c.taker = c.daemons[r.IntN(len(c.daemons))]
	}
	if rung == rungPart && c.taker == c.keeper {
		c.taker = c.daemons[2]
	}
	c.others = without(c.daemons, c.taker)
}

func without(daemons []*daemon, d *daemon) []*daemon {
	return slices.DeleteFunc(slices.Clone(daemons), func(other *daemon) bool { return other == d })
}

// force makes the taker take the rung, and waits until it says so and all are
// level.
func (c *climb) force(ctx context.Context, rung string, p Part) error {
	if err := pause(ctx, 4*heartbeat); err != nil { // until all know what they have in common, durably
		return err
	}
	want, err := c.prepare(ctx, rung, p)
	if err != nil {
		return err
	}
	if err := c.awaitRung(ctx, c.taker, rung, want); err != nil {
		return err
	}
	if c.keeper != nil && c.keeper.url() == "" {
		if err := c.keeper.start(ctx); err != nil {
			return err
		}
	}
	if err := c.awaitLevel(ctx, c.daemons, c.changes); err != nil || rung != rungAudit {
		return err
	}
	c.mending = false
	return errors.Join(c.taker.stop(), c.taker.start(ctx)) // without audits all the time
}

// prepare forces the taker to need the rung, and returns how much has to come
// over it at least.
func (c *climb) prepare(ctx context.Context, rung string, p Part) (want uint64, err error) {
	if rung == rungPush {
		before, _, err := c.taker.status(ctx)
		if err != nil {
			return 0, err
		}
		return before.Rungs.Push + 1, c.write(ctx, p)
	}
	c.taker.kill()
	c.logf("SIGKILL: %s, which misses %d changes", c.taker.name, p.Changes)
	if err := c.write(ctx, p); err != nil {
		return 0, err
	}
	switch rung {
	case rungCursor:
		return 1, c.restart(ctx)
	case rungVector:
		return 1, errors.Join(loseCursors(ctx, c.taker), c.restart(ctx))
	case rungAudit:
		return c.damage(ctx)
	case rungPart:
		if err := c.truncate(ctx, false); err != nil {
			return 0, err
		}
		return 1, c.restart(ctx)
	}
	return 1, c.snapshot(ctx)
}

// write brings a part to one of the others, and waits until they are level.
func (c *climb) write(ctx context.Context, p Part) error {
	writer := c.others[c.rand.IntN(len(c.others))]
	if err := c.feed(ctx, writer, p); err != nil {
		return err
	}
	c.changes += p.Changes
	return c.awaitLevel(ctx, c.others, c.changes)
}

// restart starts the taker, and kills one of the others while it catches up.
func (c *climb) restart(ctx context.Context) error {
	if err := c.taker.start(ctx); err != nil {
		return err
	}
	return c.crash(ctx)
}

// crash kills one of the others, in a moment.
func (c *climb) crash(ctx context.Context) error {
	victim := c.others[c.rand.IntN(len(c.others))]
	if err := pause(ctx, time.Duration(c.rand.IntN(300))*time.Millisecond); err != nil {
		return err
	}
	victim.kill()
	c.logf("SIGKILL: %s", victim.name)
	return victim.start(ctx)
}

// awaitRung waits until a daemon says that enough came over a rung, for as long
// as something moves.
func (c *climb) awaitRung(ctx context.Context, d *daemon, rung string, want uint64) error {
	var last node.Rungs
	moved := time.Now()
	for {
		st, _, err := d.status(ctx)
		if err != nil {
			return err
		}
		if n := taken(st.Rungs, rung); n >= want {
			c.logf("rung %s is taken: %s says %+v", rung, d.name, st.Rungs)
			return nil
		}
		if st.Rungs != last {
			last, moved = st.Rungs, time.Now()
		}
		if time.Since(moved) > c.cfg.Patience {
			return fmt.Errorf("it was not taken: %d of %d came over it, in all %+v", taken(st.Rungs, rung), want, st.Rungs)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// snapshot lets the others forget what they no longer log, breaks the snapshot
// off that the taker gets, and lets it go on. Then a device joins that has
// nothing.
func (c *climb) snapshot(ctx context.Context) error {
	if err := c.truncate(ctx, true); err != nil {
		return err
	}
	c.taker.door.slowDown(true)
	if err := c.taker.start(ctx); err != nil {
		return err
	}
	if err := c.awaitStaged(ctx, 2); err != nil {
		return err
	}
	c.taker.kill()
	c.logf("SIGKILL: %s, in the middle of a snapshot", c.taker.name)
	c.taker.door.slowDown(false)
	if err := c.taker.start(ctx); err != nil {
		return err
	}
	if err := c.awaitResumed(ctx); err != nil {
		return err
	}
	return c.join(ctx)
}

// awaitStaged waits until the taker has some parts of a snapshot, durably, and has
// not merged it.
func (c *climb) awaitStaged(ctx context.Context, parts int) error {
	began := time.Now()
	for {
		st, s, err := c.taker.status(ctx)
		switch {
		case err != nil:
			return err
		case st.Rungs.Snapshot > 0:
			return errors.New("the snapshot was merged before it could be broken off")
		case s.Staged >= parts:
			return nil
		case time.Since(began) > c.cfg.Patience:
			return fmt.Errorf("no snapshot came in %v", c.cfg.Patience)
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// awaitResumed waits for the snapshot, which has to have gone on where it was
// broken off.
func (c *climb) awaitResumed(ctx context.Context) error {
	if err := c.awaitRung(ctx, c.taker, rungSnapshot, 1); err != nil {
		return err
	}
	st, _, err := c.taker.status(ctx)
	if err == nil && st.Rungs.Resumed == 0 {
		err = fmt.Errorf("the snapshot that was broken off began again: %+v", st.Rungs)
	}
	return err
}

// join adds a daemon that has nothing, of which a snapshot is all that helps.
func (c *climb) join(ctx context.Context) error {
	if err := c.add(ctx); err != nil {
		return err
	}
	late := c.daemons[len(c.daemons)-1]
	c.logf("%s joins late", late.name)
	return c.awaitRung(ctx, late, rungSnapshot, 1)
}

// truncate takes the whole logs of the others, which stop for that. With forget
// they do not even know any more what the changes wrote to. The keeper, who has
// them, goes away.
func (c *climb) truncate(ctx context.Context, forget bool) error {
	if c.keeper != nil {
		if err := c.keeper.stop(); err != nil {
			return err
		}
		c.others = without(c.others, c.keeper)
	}
	var wg sync.WaitGroup
	errs := make([]error, len(c.others))
	for i, d := range c.others {
		wg.Go(func() {
			if errs[i] = d.stop(); errs[i] == nil {
				errs[i] = truncate(ctx, d, forget)
			}
			if errs[i] == nil {
				errs[i] = d.start(ctx)
			}
		})
	}
	wg.Wait()
	c.logf("%d logs are truncated, and what they wrote to is forgotten: %t", len(c.others), forget)
	return errors.Join(errs...)
}

// truncate takes the log of a daemon that is stopped.
func truncate(ctx context.Context, d *daemon, forget bool) error {
	st, err := boltstore.Open(d.data().Store(), boltstore.Options{})
	if err != nil {
		return err
	}
	n, err := node.Open(ctx, node.Config{Store: st})
	if err != nil {
		return errors.Join(err, st.Close())
	}
	s := n.Space(SpaceName)
	h := node.Horizon{Log: s.Vector()}
	if forget {
		h.Stubs = h.Log
	}
	return errors.Join(s.Truncate(ctx, h), n.Close())
}

// edit changes the store of a daemon that is down behind its back.
func edit(ctx context.Context, d *daemon, change func(store.Tx) error) error {
	st, err := boltstore.Open(d.data().Store(), boltstore.Options{})
	if err != nil {
		return err
	}
	return errors.Join(st.Update(ctx, change), st.Close())
}

// loseCursors lets a daemon that is down forget which cuts it has in common with
// others.
func loseCursors(ctx context.Context, d *daemon) error {
	return edit(ctx, d, func(tx store.Tx) error {
		keys, err := keysOf(tx, store.Acks)
		for _, key := range keys {
			err = errors.Join(err, tx.Delete(SpaceName, store.Acks, key))
		}
		return err
	})
}

func keysOf(r store.Reader, t store.Table) (keys [][]byte, err error) {
	for rec, err := range r.Scan(SpaceName, t, store.Range{}) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, slices.Clone(rec.Key))
	}
	return keys, nil
}

// damaged is how many cells are damaged for an audit to find.
const damaged = 24

// damage lets the taker catch up, damages cells of its store while it is down,
// and returns how many it has to repair.
func (c *climb) damage(ctx context.Context) (want uint64, err error) {
	if err := c.restart(ctx); err != nil {
		return 0, err
	}
	if err := c.awaitLevel(ctx, c.daemons, c.changes); err != nil {
		return 0, err
	}
	c.taker.kill()
	err = edit(ctx, c.taker, func(tx store.Tx) error {
		want, err = damageCells(tx, c.rand)
		return err
	})
	if err != nil {
		return 0, err
	}
	c.mending = true
	c.logf("%d cells of %s are damaged while it is down", want, c.taker.name)
	return want, c.taker.start(ctx, "--audit-every", (2 * heartbeat).String())
}

// damageCells loses some cells and makes garbage, or other cells, of others.
func damageCells(tx store.Tx, r *rand.Rand) (n uint64, err error) {
	keys, err := keysOf(tx, store.Cells)
	if err != nil {
		return 0, err
	}
	for i, at := range r.Perm(len(keys) - 1)[:min(damaged, len(keys)/2)] {
		switch i % 3 {
		case 0:
			err = tx.Delete(SpaceName, store.Cells, keys[at])
		case 1:
			err = tx.Put(SpaceName, store.Cells, keys[at], []byte{0xff, 0xff})
		case 2:
			err = mistake(tx, keys[at], keys[at+1])
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// mistake makes a cell the other one, or garbage if they are equal.
func mistake(tx store.Tx, key, other []byte) error {
	was, err := tx.Get(SpaceName, store.Cells, key)
	if err != nil {
		return err
	}
	was = slices.Clone(was)
	is, err := tx.Get(SpaceName, store.Cells, other)
	if errors.Is(err, store.ErrNotFound) || err == nil && slices.Equal(was, is) {
		is, err = []byte{0xff}, nil
	}
	return errors.Join(err, tx.Put(SpaceName, store.Cells, key, slices.Clone(is)))
}
