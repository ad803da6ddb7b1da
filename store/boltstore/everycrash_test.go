//go:build linux

package boltstore_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"golang.org/x/sys/unix"
)

// A long run is one of docs/crash-ledger.md.
var (
	crashSteps = flag.Int("crash.steps", 30, "Updates of the workload whose every file operation is a crash point")
	crashSeed  = flag.Uint64("crash.seed", 1, "seed of what survives a crash")
)

// unplug makes every flush of the file of s fail, and all else that asks the
// system for it, until replug is called. Mapped pages can be read.
func unplug(t testing.TB, s *boltstore.Store) (replug func()) {
	t.Helper()
	fd := boltstore.Descriptor(s)
	kept, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]int
	err = errors.Join(unix.Pipe2(ends[:], unix.O_CLOEXEC), unix.Dup3(ends[0], fd, unix.O_CLOEXEC), unix.Close(ends[0]), unix.Close(ends[1]))
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(unix.Dup3(kept, fd, unix.O_CLOEXEC), unix.Close(kept)); err != nil {
			t.Error(err)
		}
	}
}

// A flushes says which of the two flushes of a commit there are.
type flushes struct{ pages, header bool }

// An attempt is a commit that was repeated with an error.
type attempt struct {
	before []byte  // the file
	events []event // what was written to it
	failed bool    // whether there was what was to fail
	err    error   // of the Updates
}

// failFlush repeats a commit while every flush fails that comes directly after
// its header, or after one of its pages.
func failFlush(t testing.TB, dir string, c commit, header bool, plant func(*boltstore.Store)) (a attempt) {
	t.Helper()
	s := reopen(t, dir, c.before, plant)
	a.before = content(t, dir)
	r := record(t, s)
	replug := func() {}
	r.write = func(_ int, write boltstore.WriteFunc, b []byte, offset int64) (int, error) {
		replug()
		replug = func() {}
		r.note(b, offset)
		n, err := write(b, offset)
		if r.events[len(r.events)-1].header() == header {
			replug = unplug(t, s)
		}
		return n, err
	}
	a.err = commitSteps(t, s, c.first, c.end)
	replug()
	a.failed = a.err != nil
	a.events = r.take()
	if a.failed {
		wantStopped(t, s, r)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return a
}

// reopen opens a store with the image of a file.
func reopen(t testing.TB, dir string, image []byte, plant func(*boltstore.Store)) *boltstore.Store {
	t.Helper()
	s, err := openImage(dir, image)
	if err != nil {
		t.Fatal(err)
	}
	if plant != nil {
		plant(s)
	}
	return s
}

// wantStopped demands that s takes nothing more and writes nothing more.
func wantStopped(t testing.TB, s *boltstore.Store, r *recorder) {
	t.Helper()
	called := false
	err := s.Update(t.Context(), func(store.Tx) error { called = true; return nil })
	if !errors.Is(err, store.ErrUncertain) || called || len(r.events) > 0 {
		t.Errorf("after an error that may have cost pages: Update = %v, function called: %v, %d writes; want ErrUncertain, no, 0", err, called, len(r.events))
	}
}

// findFlushes finds out which flushes the commit waits for.
func findFlushes(t testing.TB, dir string, c commit, plant func(*boltstore.Store)) (f flushes) {
	t.Helper()
	for header, found := range map[bool]*bool{false: &f.pages, true: &f.header} {
		*found = failFlush(t, dir, c, header, plant).failed
	}
	return f
}

// with returns the events of the commit with its flushes among them.
func (c commit) with(f flushes) (events []event) {
	for _, e := range c.events {
		if e.header() && f.pages {
			events = append(events, event{flush: true})
		}
		events = append(events, e)
		if e.header() && f.header {
			events = append(events, event{flush: true})
		}
	}
	return events
}

// A crasher visits the crash points of a workload.
type crasher struct {
	*judge
	rng     *rand.Rand
	durable []byte  // image of what is flushed
	pending []event // since then
	points  int
}

// visit crashes after each operation of the commits and returns the first
// image that is not what it may be.
func (c *crasher) visit(commits []commit, has func(commit) flushes) error {
	c.durable = slices.Clone(commits[0].before)
	for _, commit := range commits {
		for _, e := range commit.with(has(commit)) {
			c.step(e)
			if err := c.crash(commit.first, commit.end); err != nil {
				return err
			}
		}
		if err := c.crash(commit.end, commit.end); err != nil {
			return err
		}
	}
	return nil
}

// step lets an event happen.
func (c *crasher) step(e event) {
	if !e.flush {
		c.pending = append(c.pending, e)
		return
	}
	for _, e := range c.pending {
		c.durable = e.apply(c.durable)
	}
	c.pending = nil
}

// crash judges what a crash may leave here.
func (c *crasher) crash(acknowledged, begun int) error {
	c.points++
	for _, m := range modes() {
		image := slices.Clone(c.durable)
		for _, e := range m.keep(c.rng, c.pending) {
			image = e.apply(image)
		}
		if err := c.check(image, acknowledged, begun); err != nil {
			return fmt.Errorf("crash point %d, in the group of steps %d to %d, with %s of %d operations kept: %w",
				c.points, acknowledged, begun, m.name, len(c.pending), err)
		}
		if len(c.pending) == 0 {
			return nil // the modes are one
		}
	}
	return nil
}

// restart goes to the end of a commit that failed. Its pages were flushed if
// its header was written.
func (c *crasher) restart(a attempt) {
	c.durable, c.pending = slices.Clone(a.before), nil
	for _, e := range (commit{events: a.events}).with(flushes{pages: true}) {
		c.step(e)
	}
}

// newCrasher returns a crasher for a workload.
func newCrasher(t testing.TB, steps int) *crasher {
	return &crasher{
		judge: &judge{t: t, dir: ramDir(t), states: states(t, steps+1)},
		rng:   rand.New(rand.NewPCG(*crashSeed, 0)),
	}
}

// TestEverySyscallCrash makes every operation on the file of a workload a
// crash point, with several ways to lose what was not flushed. That a flush
// was made is not believed: a commit that succeeds while the flush fails has
// made none.
func TestEverySyscallCrash(t *testing.T) {
	commits := runWorkload(t, ramDir(t), *crashSteps, nil)
	c := newCrasher(t, *crashSteps)
	probe := ramDir(t)
	err := c.visit(commits, func(c commit) flushes { return findFlushes(t, probe, c, nil) })
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d Updates in %d commits: %d crash points, %d images", *crashSteps, len(commits), c.points, c.images)
}

// TestCrashesFindMissingFlush runs the same on stores that do not flush, or
// flush once too little, where acknowledged Updates must be seen to be lost.
func TestCrashesFindMissingFlush(t *testing.T) {
	const steps = 12
	commits := runWorkload(t, ramDir(t), steps, boltstore.NeverFlush)
	probe := ramDir(t)
	found := func(c commit) flushes { return findFlushes(t, probe, c, boltstore.NeverFlush) }
	for name, has := range map[string]func(commit) flushes{
		"none, as planted": found,
		"none of pages":    func(commit) flushes { return flushes{header: true} },
		"none of headers":  func(commit) flushes { return flushes{pages: true} },
	} {
		err := newCrasher(t, steps).visit(commits, has)
		if err == nil {
			t.Errorf("flushes: %s: no crash lost anything", name)
			continue
		}
		t.Logf("flushes: %s: %v", name, err)
	}
}

// TestTornTail stops every commit after each sector of what it writes, in the
// order in which it writes: the store is sound, and is what it was before or
// after.
func TestTornTail(t *testing.T) {
	const steps = 12
	commits := runWorkload(t, ramDir(t), steps, nil)
	j := newCrasher(t, steps).judge
	for _, c := range commits {
		pieces := split(c.events, sector)
		image := slices.Clone(c.before)
		for k, e := range pieces {
			image = e.apply(image)
			if err := j.check(image, c.first, c.end); err != nil {
				t.Fatalf("steps %d to %d, %d of %d sectors written: %v", c.first, c.end, k+1, len(pieces), err)
			}
		}
	}
	t.Logf("%d commits, %d images", len(commits), j.images)
}

// TestFsyncError fails each flush of a workload once. Nothing is written after
// it, and what is there afterwards is what a crash may leave.
func TestFsyncError(t *testing.T) {
	const steps = 16
	commits := runWorkload(t, ramDir(t), steps, nil)
	j := newCrasher(t, steps)
	probe := ramDir(t)
	for _, c := range commits {
		for _, header := range []bool{false, true} {
			a := failFlush(t, probe, c, header, nil)
			if !errors.Is(a.err, store.ErrUncertain) {
				t.Errorf("steps %d to %d, header %v: Update whose flush failed = %v, want ErrUncertain", c.first, c.end, header, a.err)
			}
			if last := a.events[len(a.events)-1]; last.header() != header {
				t.Errorf("steps %d to %d, header %v: written beyond a flush that failed", c.first, c.end, header)
			}
			j.restart(a)
			if err := j.crash(c.first, c.end); err != nil {
				t.Errorf("header %v: %v", header, err)
			}
		}
	}
}

// TestErrorAtEveryWrite fails each write of a workload once, with nothing or a
// half of it written.
func TestErrorAtEveryWrite(t *testing.T) {
	const steps = 16
	commits := runWorkload(t, ramDir(t), steps, nil)
	j := newCrasher(t, steps)
	probe, failures := ramDir(t), 0
	for _, c := range commits {
		for n := 0; ; n++ {
			a := failWrite(t, probe, c, n, syscall.EIO)
			if !a.failed {
				break // there is no n-th write
			}
			failures++
			if !errors.Is(a.err, store.ErrUncertain) {
				t.Errorf("steps %d to %d, write %d: Update = %v, want ErrUncertain", c.first, c.end, n, a.err)
			}
			j.restart(a)
			if err := j.crash(c.first, c.end); err != nil {
				t.Errorf("write %d: %v", n, err)
			}
		}
	}
	if failures < 5*len(commits) {
		t.Errorf("%d writes failed in %d commits, want more", failures, len(commits))
	}
}

// failWrite repeats a commit with an error at its n-th write. Of every second
// one half is written.
func failWrite(t testing.TB, dir string, c commit, n int, cause error) (a attempt) {
	t.Helper()
	s := reopen(t, dir, c.before, nil)
	a.before = content(t, dir)
	r := record(t, s)
	r.write = func(k int, write boltstore.WriteFunc, b []byte, offset int64) (int, error) {
		if k != n {
			r.note(b, offset)
			return write(b, offset)
		}
		a.failed = true
		if n%2 == 0 {
			return 0, cause
		}
		b = b[:len(b)/2]
		r.note(b, offset)
		half, err := write(b, offset)
		return half, errors.Join(err, cause)
	}
	a.err = commitSteps(t, s, c.first, c.end)
	a.events = r.take()
	if a.err != nil {
		wantStopped(t, s, r)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return a
}
