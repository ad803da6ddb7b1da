package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"go.etcd.io/bbolt"
)

// An event is one operation on a store's file.
type event struct {
	offset int64
	data   []byte // what was written at offset
	size   int64  // or: the length the file was given
	flush  bool   // or: everything before is on the disk
}

// header reports whether the event is the write of a header page, with which
// bbolt ends a commit.
func (e event) header() bool {
	return e.data != nil && e.offset < 2*int64(os.Getpagesize())
}

// A commit is a group of steps and what it did to the file.
type commit struct {
	first, end int // steps
	before     []byte
	events     []event
}

// A recorder notes the writes to a store's file. The file grows between them.
type recorder struct {
	store  *boltstore.Store
	size   int64
	events []event
	write  func(n int, write boltstore.WriteFunc, b []byte, offset int64) (int, error) // replaces the n-th write, if set
}

// record begins to note what happens to the file of s.
func record(t testing.TB, s *boltstore.Store) *recorder {
	t.Helper()
	r := &recorder{store: s}
	var err error
	if r.size, err = boltstore.FileSize(s); err != nil {
		t.Fatal(err)
	}
	boltstore.HookWrites(s, func(write boltstore.WriteFunc) boltstore.WriteFunc {
		writes := 0
		return func(b []byte, offset int64) (int, error) {
			n := writes
			writes++
			if r.write == nil {
				r.note(b, offset)
				return write(b, offset)
			}
			return r.write(n, write, b, offset)
		}
	})
	return r
}

// note adds a write, and before it what has happened to the length.
func (r *recorder) note(b []byte, offset int64) {
	if size, err := boltstore.FileSize(r.store); err == nil && size > r.size {
		r.size = size
		r.events = append(r.events, event{size: size})
	}
	r.events = append(r.events, event{offset: offset, data: slices.Clone(b)})
	r.size = max(r.size, offset+int64(len(b)))
}

// take returns the events since the last call.
func (r *recorder) take() []event {
	events := r.events
	r.events = nil
	return events
}

// groups yields the bounds of the groups of a workload: mostly single Updates.
func groups(steps int) (bounds [][2]int) {
	sizes := []int{1, 1, 1, 3, 1, 1, 7}
	for first := 0; first < steps; {
		end := min(first+sizes[len(bounds)%len(sizes)], steps)
		bounds = append(bounds, [2]int{first, end})
		first = end
	}
	return bounds
}

// runWorkload runs the steps in dir and returns what the commits did to the
// file. plant, if not nil, breaks the store.
func runWorkload(t testing.TB, dir string, steps int, plant func(*boltstore.Store)) []commit {
	t.Helper()
	s, err := openFull(dir)
	if err != nil {
		t.Fatal(err)
	}
	if plant != nil {
		plant(s)
	}
	defer s.Close()
	r := record(t, s)
	image, err := os.ReadFile(fileIn(dir))
	if err != nil {
		t.Fatal(err)
	}
	var commits []commit
	for _, g := range groups(steps) {
		c := commit{first: g[0], end: g[1], before: slices.Clone(image)}
		if err := commitSteps(t, s, c.first, c.end); err != nil {
			t.Fatal(err)
		}
		c.events = r.take()
		for _, e := range c.events {
			image = e.apply(image)
		}
		commits = append(commits, c)
	}
	return commits
}

// apply returns the image of a file after an event.
func (e event) apply(image []byte) []byte {
	end := max(e.size, e.offset+int64(len(e.data)))
	if n := end - int64(len(image)); n > 0 {
		image = append(image, make([]byte, n)...)
	}
	copy(image[e.offset:], e.data)
	return image
}

// sector is what a disk writes as a whole, in bytes.
const sector = 512

// split cuts the writes among events into pieces of a size.
func split(events []event, size int) (pieces []event) {
	for _, e := range events {
		for len(e.data) > size {
			pieces = append(pieces, event{offset: e.offset, data: e.data[:size]})
			e.offset, e.data = e.offset+int64(size), e.data[size:]
		}
		pieces = append(pieces, e)
	}
	return pieces
}

// A mode is a way to lose a part of what was not flushed.
type mode struct {
	name string
	keep func(rng *rand.Rand, pending []event) []event
}

// modes returns all of them.
func modes() []mode {
	share := func(percent, piece int) func(*rand.Rand, []event) []event {
		return func(rng *rand.Rand, pending []event) (kept []event) {
			for _, e := range split(pending, piece) {
				if rng.IntN(100) < percent {
					kept = append(kept, e)
				}
			}
			return kept
		}
	}
	page := os.Getpagesize()
	return []mode{
		{"nothing", share(0, page)},
		{"10 % of pages", share(10, page)},
		{"50 % of pages", share(50, page)},
		{"everything", share(100, page)},
		{"50 % of sectors", share(50, sector)},
		{"first sectors", func(rng *rand.Rand, pending []event) []event {
			all := split(pending, sector)
			return all[:rng.IntN(len(all)+1)]
		}},
		{"last sectors", func(rng *rand.Rand, pending []event) []event {
			all := split(pending, sector)
			return all[rng.IntN(len(all)+1):]
		}},
	}
}

// A judge decides whether a store may be what a crash left.
type judge struct {
	t      testing.TB
	dir    string
	states []digest // by number of steps
	images int      // judged so far
}

// check returns an error unless a file with the image is a sound store, after
// at least acknowledged and at most begun steps, that takes more.
func (j *judge) check(image []byte, acknowledged, begun int) (err error) {
	j.images++
	s, err := openImage(j.dir, image)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, s.Close()); err == nil {
			err = structure(j.dir)
		}
	}()
	d, err := digestOf(j.t, s)
	if err != nil {
		return err
	}
	if !slices.Contains(j.states[acknowledged:begun+1], d) {
		return fmt.Errorf("the store is in state %d of the workload; %d Updates were acknowledged, %d begun",
			slices.Index(j.states, d), acknowledged, begun)
	}
	return s.Update(j.t.Context(), func(tx store.Tx) error { return step(tx, begun) })
}

// openImage opens a store in dir whose file has the image.
func openImage(dir string, image []byte) (*boltstore.Store, error) {
	if err := os.WriteFile(fileIn(dir), image, 0o600); err != nil {
		return nil, err
	}
	return openFull(dir)
}

// structure returns an error unless each page of a closed store's file has one
// use, as bbolt sees it and as Doctor does.
func structure(dir string) error {
	r, err := boltstore.Doctor(context.Background(), dir, boltstore.Options{})
	if err != nil {
		return err
	}
	if !r.Sound() || r.LostBytes != 0 {
		return fmt.Errorf("Doctor: %v", r)
	}
	db, err := bbolt.Open(fileIn(dir), 0o600, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		return err
	}
	err = db.View(func(tx *bbolt.Tx) (err error) {
		for e := range tx.Check() {
			err = errors.Join(err, e)
		}
		return err
	})
	return errors.Join(err, db.Close())
}
