package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// A FleetConfig says how the changes of a history are scattered over daemons.
type FleetConfig struct {
	Program  string // path of syncd
	Daemons  int
	Kills    int // SIGKILLs on the way
	Seed     uint64
	Log      io.Writer     // for people
	Patience time.Duration // how long nothing may move before it is a failure
}

// partsEach is how many parts each daemon is fed, one after the other, so that
// there is something to lose until the last kill.
const partsEach = 5

// fleet is the daemons of one run.
type fleet struct {
	cfg     FleetConfig
	dir     string
	daemons []*daemon
	rand    *rand.Rand

	mu     sync.Mutex // guards what follows
	killed int
}

// Scatter spreads the changes of full, which has replayed h, over real daemons
// that sync over WebSocket, while they are killed and restarted and their links
// are cut. It returns nil if all end with the same bytes as full, in results
// and in storage.
func Scatter(ctx context.Context, h *History, full *node.Node, want *Results, cfg FleetConfig) error {
	parts, err := scatter(ctx, h, full, partsEach*cfg.Daemons, cfg.Seed)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "joinery-replay-")
	if err != nil {
		return err
	}
	f := &fleet{cfg: cfg, dir: dir, rand: rand.New(rand.NewPCG(cfg.Seed, 2))}
	defer f.close()
	if err := f.launch(ctx); err != nil {
		return err
	}
	if err := f.torment(ctx, parts); err != nil {
		return err
	}
	if err := f.awaitLevel(ctx, full.Space(SpaceName).Summary().Changes); err != nil {
		return err
	}
	for _, d := range f.daemons {
		if err := d.stop(); err != nil {
			return err
		}
	}
	if err := f.compare(ctx, h, full, want); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

func (f *fleet) logf(format string, args ...any) { fmt.Fprintf(f.cfg.Log, format+"\n", args...) }

func (f *fleet) close() {
	for _, d := range f.daemons {
		d.kill()
		d.door.close()
		if d.log != nil {
			d.log.Close()
		}
	}
}

// launch starts the daemons, each with links to those before it.
func (f *fleet) launch(ctx context.Context) error {
	for i := range f.cfg.Daemons {
		d := &daemon{name: fmt.Sprintf("d%d", i), program: f.cfg.Program}
		d.dir = filepath.Join(f.dir, d.name)
		if err := os.Mkdir(d.dir, 0o700); err != nil {
			return err
		}
		var err error
		if d.door, err = openDoor(); err != nil {
			return err
		}
		for _, other := range f.daemons {
			d.peers = append(d.peers, "ws://"+other.door.address()+"/v1/sync")
		}
		f.daemons = append(f.daemons, d)
		if err := d.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// torment brings the parts to the daemons while it kills them and cuts links.
func (f *fleet) torment(ctx context.Context, parts []Part) error {
	feeding, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	fed := make([]error, len(f.daemons))
	for i, d := range f.daemons {
		wg.Go(func() { fed[i] = f.feedAll(feeding, d, parts[i:]) })
	}
	for f.killed < f.cfg.Kills {
		if err := f.hurt(ctx); err != nil {
			cancel()
			wg.Wait()
			return err
		}
	}
	wg.Wait()
	return errors.Join(fed...)
}

// feedAll imports every len(daemons)-th part, the first at once and the others
// spread over the time of the kills.
func (f *fleet) feedAll(ctx context.Context, d *daemon, parts []Part) error {
	for k := 0; k < len(parts); k += len(f.daemons) {
		if err := f.awaitKills(ctx, f.cfg.Kills*k/len(parts)); err != nil {
			return err
		}
		if err := f.feed(ctx, d, parts[k]); err != nil {
			return err
		}
		f.logf("%s has imported a part of %d changes", d.name, parts[k].Changes)
	}
	return nil
}

// awaitKills waits until n daemons have been killed.
func (f *fleet) awaitKills(ctx context.Context, n int) error {
	for {
		f.mu.Lock()
		killed := f.killed
		f.mu.Unlock()
		if killed >= n {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// feed imports a part, again and again until the daemon lives long enough.
func (f *fleet) feed(ctx context.Context, d *daemon, p Part) error {
	for {
		err := d.importPart(ctx, p)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if d.url() != "" && !isConnectionError(err) {
			return err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// hurt kills one daemon and, now and then, cuts a link for a while.
func (f *fleet) hurt(ctx context.Context) error {
	victim := f.daemons[f.rand.IntN(len(f.daemons))]
	if err := pause(ctx, time.Duration(f.rand.IntN(1000))*time.Millisecond); err != nil {
		return err
	}
	victim.kill()
	f.mu.Lock()
	f.killed++
	f.mu.Unlock()
	f.logf("SIGKILL %d of %d: %s", f.killed, f.cfg.Kills, victim.name)
	if f.rand.IntN(3) == 0 {
		link := f.daemons[f.rand.IntN(len(f.daemons))].door
		link.cut()
		defer link.mend()
	}
	if err := pause(ctx, time.Duration(f.rand.IntN(400))*time.Millisecond); err != nil {
		return err
	}
	return victim.start(ctx)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitLevel waits until every daemon has applied all changes and says so, for
// as long as something moves.
func (f *fleet) awaitLevel(ctx context.Context, changes uint64) error {
	moved, last := time.Now(), ""
	for {
		state, level, err := f.state(ctx, changes)
		if err != nil {
			return err
		}
		if level {
			f.logf("level: %s", state)
			return nil
		}
		if state != last {
			moved, last = time.Now(), state
		}
		if time.Since(moved) > f.cfg.Patience {
			return fmt.Errorf("replay: the daemons stopped short of %d changes: %s; their data and logs are in %s", changes, state, f.dir)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// state describes the daemons and reports whether all have all changes and the
// same contents.
func (f *fleet) state(ctx context.Context, changes uint64) (text string, level bool, err error) {
	level = true
	first := ""
	for _, d := range f.daemons {
		st, s, err := d.status(ctx)
		if err != nil {
			return fmt.Sprintf("%s does not answer: %v", d.name, err), false, ctx.Err()
		}
		for _, p := range st.Problems {
			if p.Code == "diverged" || p.Code == "origin_forked" {
				return "", false, fmt.Errorf("replay: daemon %s reports %s: %s", d.name, p.Code, p.Cause)
			}
		}
		if first == "" {
			first = s.Fingerprint
		}
		level = level && s.Changes == changes && s.Fingerprint == first
		text += fmt.Sprintf("%s %d ", d.name, s.Changes)
	}
	return text, level, nil
}

// compare opens what the daemons left and compares it, record by record, with
// what the replay itself ended with.
func (f *fleet) compare(ctx context.Context, h *History, full *node.Node, want *Results) error {
	reference := full.Store()
	for _, d := range f.daemons {
		st, err := boltstore.Open(d.data().Store(), boltstore.Options{})
		if err != nil {
			return err
		}
		err = f.compareOne(ctx, h, st, reference, want)
		if err != nil {
			return fmt.Errorf("replay: daemon %s: %w; its data is in %s", d.name, err, d.dir)
		}
	}
	f.logf("%d daemons hold the same bytes, and the expected results", len(f.daemons))
	return nil
}

func (f *fleet) compareOne(ctx context.Context, h *History, st, reference store.Store, want *Results) error {
	for _, t := range []store.Table{store.Cells, store.Log} {
		if err := sameTable(ctx, st, reference, t); err != nil {
			st.Close()
			return err
		}
	}
	n, err := node.Open(ctx, node.Config{Store: st})
	if err != nil {
		st.Close()
		return err
	}
	defer n.Close()
	got, err := collect(ctx, n.Space(SpaceName), h)
	if err != nil {
		return err
	}
	return got.equal(want)
}

// sameTable returns an error at the first record in which two stores differ.
func sameTable(ctx context.Context, a, b store.Store, t store.Table) error {
	return a.View(ctx, func(ra store.Reader) error {
		return b.View(ctx, func(rb store.Reader) error {
			next, stop := iter.Pull2(rb.Scan(SpaceName, t, store.Range{}))
			defer stop()
			for x, err := range ra.Scan(SpaceName, t, store.Range{}) {
				if err != nil {
					return err
				}
				y, err, _ := next()
				if err != nil {
					return err
				}
				if !bytes.Equal(x.Key, y.Key) || !bytes.Equal(x.Value, y.Value) {
					return fmt.Errorf("table %d holds %q = %x where %q = %x belongs", t, x.Key, x.Value, y.Key, y.Value)
				}
			}
			if y, _, more := next(); more {
				return fmt.Errorf("table %d lacks %q", t, y.Key)
			}
			return nil
		})
	})
}
