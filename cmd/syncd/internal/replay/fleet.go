package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

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
	// Rungs of the ladder to force after the kills, in the order of ladder. The
	// last daemon then joins late, if rungSnapshot is one of them.
	Rungs []string
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
	mending bool // damaged cells are being repaired: daemons may differ meanwhile

	mu     sync.Mutex // guards what follows
	killed int
}

// Scatter spreads the changes of full, which has replayed h, over real daemons
// that sync over WebSocket, while they are killed and restarted and their links
// are cut. It returns nil if all end with the same bytes as full, in results
// and in storage.
func Scatter(ctx context.Context, h *History, full *node.Node, want *Results, cfg FleetConfig) error {
	until := len(h.Events)
	if len(cfg.Rungs) > 0 {
		until /= 2
	}
	early := cfg.Daemons
	if slices.Contains(cfg.Rungs, rungSnapshot) {
		early--
	}
	parts, err := scatter(ctx, h, full, partsEach*early, until, cfg.Seed)
	if err != nil {
		return err
	}
	later, err := follow(ctx, h, full, until, len(cfg.Rungs)+1)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "joinery-replay-")
	if err != nil {
		return err
	}
	f := &fleet{cfg: cfg, dir: dir, rand: rand.New(rand.NewPCG(cfg.Seed, 2))}
	defer f.close()
	for range early {
		if err := f.add(ctx); err != nil {
			return err
		}
	}
	if err := f.torment(ctx, parts); err != nil {
		return err
	}
	begun := parts[len(parts)-1].Changes
	if err := f.awaitLevel(ctx, f.daemons, begun); err != nil {
		return err
	}
	if len(cfg.Rungs) > 0 {
		if err := f.climb(ctx, later, begun); err != nil {
			return err
		}
	}
	if err := f.awaitLevel(ctx, f.daemons, full.Space(SpaceName).Summary().Changes); err != nil {
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

// add starts another daemon, with links to those before it.
func (f *fleet) add(ctx context.Context) (err error) {
	d := &daemon{name: fmt.Sprintf("d%d", len(f.daemons)), program: f.cfg.Program}
	d.dir = filepath.Join(f.dir, d.name)
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		return err
	}
	if d.door, err = openDoor(); err != nil {
		return err
	}
	if len(f.cfg.Rungs) > 0 {
		d.args = []string{"--heartbeat", heartbeat.String()}
	}
	for _, other := range f.daemons {
		d.args = append(d.args, "--peer", "ws://"+other.door.address()+"/v1/sync")
	}
	f.daemons = append(f.daemons, d)
	return d.start(ctx)
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

// awaitLevel waits until each of the daemons has applied as many changes and says
// so, for as long as something moves.
func (f *fleet) awaitLevel(ctx context.Context, daemons []*daemon, changes uint64) error {
	moved, last := time.Now(), ""
	for {
		state, level, err := f.state(ctx, daemons, changes)
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
func (f *fleet) state(ctx context.Context, daemons []*daemon, changes uint64) (text string, level bool, err error) {
	level = true
	first := ""
	for _, d := range daemons {
		st, s, err := d.status(ctx)
		if err != nil {
			return fmt.Sprintf("%s does not answer: %v", d.name, err), false, ctx.Err()
		}
		for _, p := range st.Problems {
			if p.Code == "diverged" && f.mending {
				level = false
			} else if p.Code == "diverged" || p.Code == "origin_forked" || p.Code == "disputed" {
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
