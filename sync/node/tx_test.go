package node_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
)

// content is what a reader sees of every typed reference.
type content struct {
	tags, vetoes, once, paths []string
	title                     string
	titled                    bool
	drafts                    []string
	likes                     int64
	objects                   []node.Object
}

func read(t testing.TB, r node.Reader) (c content) {
	t.Helper()
	c.tags, c.vetoes = all(t, tags.All(r)), all(t, vetoes.All(r))
	c.once, c.paths = all(t, once.All(r)), all(t, paths.All(r))
	var errs [3]error
	c.title, c.titled, errs[0] = title.Get(r)
	c.drafts, errs[1] = drafts.Values(r)
	c.likes, errs[2] = likes.Value(r)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	c.objects = all(t, r.Objects(""))
	return c
}

// script is writes to every type, step by step, and what is read after each.
var script = []struct {
	do   func(tx *node.Tx) error
	read func(c content) any
	want any
}{
	{func(tx *node.Tx) error { return tags.Add(tx, "a") }, func(c content) any { return c.tags }, []string{"a"}},
	{func(tx *node.Tx) error { return tags.Remove(tx, "a") }, func(c content) any { return len(c.tags) }, 0},
	{func(tx *node.Tx) error { return tags.Add(tx, "a") }, func(c content) any { return c.tags }, []string{"a"}},
	{func(tx *node.Tx) error { return tags.Add(tx, "b") }, func(c content) any { return c.tags }, []string{"a", "b"}},
	{func(tx *node.Tx) error { return vetoes.Add(tx, "a") }, func(c content) any { return c.vetoes }, []string{"a"}},
	{func(tx *node.Tx) error { return vetoes.Remove(tx, "a") }, func(c content) any { return len(c.vetoes) }, 0},
	{func(tx *node.Tx) error { return vetoes.Add(tx, "a") }, func(c content) any { return c.vetoes }, []string{"a"}},
	{func(tx *node.Tx) error { return once.Add(tx, "a") }, func(c content) any { return c.once }, []string{"a"}},
	{func(tx *node.Tx) error { return once.Remove(tx, "a") }, func(c content) any { return len(c.once) }, 0},
	{func(tx *node.Tx) error { return paths.Add(tx, "a") }, func(c content) any { return c.paths }, []string{"a"}},
	{func(tx *node.Tx) error { return paths.Add(tx, "a") }, func(c content) any { return c.paths }, []string{"a"}},
	{func(tx *node.Tx) error { return title.Set(tx, "x") }, func(c content) any { return c.title }, "x"},
	{func(tx *node.Tx) error { return title.Set(tx, "y") }, func(c content) any { return c.title }, "y"},
	{func(tx *node.Tx) error { return drafts.Set(tx, "x") }, func(c content) any { return c.drafts }, []string{"x"}},
	{func(tx *node.Tx) error { return drafts.Clear(tx) }, func(c content) any { return len(c.drafts) }, 0},
	{func(tx *node.Tx) error { return drafts.Set(tx, "y") }, func(c content) any { return c.drafts }, []string{"y"}},
	{func(tx *node.Tx) error { return likes.Add(tx, 5) }, func(c content) any { return c.likes }, int64(5)},
	{func(tx *node.Tx) error { return likes.Add(tx, -2) }, func(c content) any { return c.likes }, int64(3)},
	{func(tx *node.Tx) error { return likes.Reset(tx) }, func(c content) any { return c.likes }, int64(0)},
	{func(tx *node.Tx) error { return likes.Add(tx, 1) }, func(c content) any { return c.likes }, int64(1)},
	{func(tx *node.Tx) error { return nil }, func(c content) any { return c.objects }, []node.Object{
		drafts.Object(), likes.Object(), once.Object(), paths.Object(), tags.Object(), title.Object(), vetoes.Object(),
	}},
}

// TestReadYourOwnWrites runs the script in one transaction, in one for each
// step, and in transactions that share a commit: every step sees the ones
// before, and the outcome is the same.
func TestReadYourOwnWrites(t *testing.T) {
	step := func(t *testing.T, tx *node.Tx, i int) error {
		if err := script[i].do(tx); err != nil {
			return err
		}
		if got, want := fmt.Sprint(script[i].read(read(t, tx))), fmt.Sprint(script[i].want); got != want {
			t.Errorf("after step %d: %s, want %s", i, got, want)
		}
		return nil
	}
	var outcomes []content
	for name, run := range map[string]func(t *testing.T, n *node.Node){
		"one transaction": func(t *testing.T, n *node.Node) {
			mustUpdate(t, n.Space("s"), func(tx *node.Tx) (err error) {
				for i := range script {
					err = errors.Join(err, step(t, tx, i))
				}
				return err
			})
		},
		"one each": func(t *testing.T, n *node.Node) {
			for i := range script {
				mustUpdate(t, n.Space("s"), func(tx *node.Tx) error { return step(t, tx, i) })
			}
		},
		"one commit": func(t *testing.T, n *node.Node) {
			release := occupy(t, n)
			var wg sync.WaitGroup
			for i := range script {
				wg.Go(func() { mustUpdate(t, n.Space("s"), func(tx *node.Tx) error { return step(t, tx, i) }) })
				synctest.Wait() // queued in order
			}
			release()
			wg.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := meddle(memstore.New())
				n := openConfig(t, node.Config{Store: m})
				run(t, n)
				checkSound(t, n, "s")
				mustView(t, n.Space("s"), func(v *node.View) error {
					outcomes = append(outcomes, read(t, v))
					return nil
				})
			})
		})
	}
	for _, c := range outcomes {
		if got, want := fmt.Sprint(c), fmt.Sprint(outcomes[0]); got != want {
			t.Errorf("outcomes differ: %s and %s", got, want)
		}
	}
}

// TestScansInATransaction lays what is stored, what the batch wrote and what
// the transaction wrote over each other.
func TestScansInATransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := open(t)
		s := n.Space("s")
		numbers := func(o string) object.ORSet[int] { return node.ORSet[int](o) }
		put := func(tx *node.Tx, o string, add, remove []int) error {
			for _, e := range add {
				numbers(o).Add(tx, e)
			}
			for _, e := range remove {
				numbers(o).Remove(tx, e)
			}
			return nil
		}
		mustUpdate(t, s, func(tx *node.Tx) error {
			return errors.Join(put(tx, "o", []int{1, 2, 3, 4}, nil), put(tx, "gone", []int{1}, nil), put(tx, "o2", []int{9}, nil))
		})
		release := occupy(t, n)
		var wg sync.WaitGroup
		wg.Go(func() {
			mustUpdate(t, s, func(tx *node.Tx) error {
				return errors.Join(put(tx, "o", []int{0, 5}, []int{1}), put(tx, "new", []int{1}, nil))
			})
		})
		synctest.Wait()
		wg.Go(func() {
			mustUpdate(t, s, func(tx *node.Tx) error {
				err := errors.Join(put(tx, "o", []int{1, 7}, []int{2, 5}), put(tx, "gone", nil, []int{1}), put(tx, "new", []int{2}, []int{1}))
				if got, want := all(t, numbers("o").All(tx)), []int{0, 1, 3, 4, 7}; !slices.Equal(got, want) {
					t.Errorf("elements = %v, want %v", got, want)
				}
				var keys []string
				for _, o := range all(t, tx.Objects("")) {
					keys = append(keys, o.Key)
				}
				if want := []string{"new", "o", "o2"}; !slices.Equal(keys, want) {
					t.Errorf("objects = %q, want %q", keys, want)
				}
				// What a loop removes does not disturb the loop.
				for e := range numbers("o").All(tx) {
					numbers("o").Remove(tx, e)
				}
				if n, _ := numbers("o").Len(tx); n != 0 {
					t.Errorf("%d elements are left, want none", n)
				}
				return err
			})
		})
		synctest.Wait()
		release()
		wg.Wait()
		mustView(t, s, func(v *node.View) error {
			if got := all(t, numbers("o").All(v)); len(got) != 0 {
				t.Errorf("elements = %v, want none", got)
			}
			return nil
		})
		checkSound(t, n, "s")
	})
}

// TestOddKeys writes objects whose keys try to run into each other.
func TestOddKeys(t *testing.T) {
	keys := []string{
		"a", "a\x00", "a\x00\x00", "a\x00\x01", "a\x00b", "a\x01", "a\uffff", "ab", "\x00", "\x00\x01", "\x01",
		"é", "日本", "\U0010ffff", strings.Repeat("\x00", crdtsync.MaxObject), strings.Repeat("k", crdtsync.MaxObject),
	}
	slices.Sort(keys)
	disk := new(memstore.Disk)
	n := openOn(t, disk)
	s := n.Space("s")
	element := strings.Repeat("\x00", crdt.MaxElement-3)
	mustUpdate(t, s, func(tx *node.Tx) error {
		for i, k := range keys {
			node.ORSet[string](k).Add(tx, k)
			node.GSet[string](k).Add(tx, element)
			node.LWW[int](k).Set(tx, i)
		}
		return nil
	})
	check := func(r node.Reader) {
		t.Helper()
		for i, k := range keys {
			got := all(t, node.ORSet[string](k).All(r))
			if v, ok, err := node.LWW[int](k).Get(r); v != i || !ok || err != nil || !slices.Equal(got, []string{k}) {
				t.Errorf("object %.20q holds %d, %v, %q, %v", k, v, ok, got, err)
			}
		}
		for _, prefix := range []string{"", "a", "a\x00", "k", "\x00", "zz"} {
			var want []node.Object
			for _, k := range keys {
				if strings.HasPrefix(k, prefix) {
					want = append(want, node.Object{Key: k, Kind: "gset"}, node.Object{Key: k, Kind: "lww"}, node.Object{Key: k, Kind: "orset"})
				}
			}
			if got := all(t, r.Objects(prefix)); !slices.Equal(got, want) {
				t.Errorf("%d objects with prefix %q, want %d", len(got), prefix, len(want))
			}
		}
	}
	mustUpdate(t, s, func(tx *node.Tx) error { check(tx); return nil })
	n = reopen(t, n, disk)
	mustView(t, n.Space("s"), func(v *node.View) error { check(v); return nil })
	checkSound(t, n, "s")
}

func TestUnusableNamesAreErrors(t *testing.T) {
	n := open(t)
	for _, key := range []string{"", strings.Repeat("k", crdtsync.MaxObject+1), "\xff", "a\xc3"} {
		for name, do := range map[string]func(tx *node.Tx) error{
			"ORSet":      func(tx *node.Tx) error { return node.ORSet[int](key).Add(tx, 1) },
			"GSet":       func(tx *node.Tx) error { return node.GSet[int](key).Add(tx, 1) },
			"TwoPSet":    func(tx *node.Tx) error { return node.TwoPSet[int](key).Add(tx, 1) },
			"RWSet":      func(tx *node.Tx) error { return node.RWSet[int](key).Remove(tx, 1) },
			"LWW":        func(tx *node.Tx) error { return node.LWW[int](key).Set(tx, 1) },
			"MVRegister": func(tx *node.Tx) error { return node.MVRegister[int](key).Set(tx, 1) },
			"PNCounter":  func(tx *node.Tx) error { return node.PNCounter(key).Add(tx, 1) },
			"GCounter":   func(tx *node.Tx) error { return node.GCounter(key).Add(tx, 1) },
			"Bounded":    func(tx *node.Tx) error { return node.BoundedCounter(key).Inc(tx, 1) },
			"EWFlag":     func(tx *node.Tx) error { return node.EWFlag(key).Enable(tx) },
			"DWFlag":     func(tx *node.Tx) error { return node.DWFlag(key).Disable(tx) },
		} {
			checkSticks(t, n, name, do, crdtsync.ErrName)
		}
	}
	for _, space := range []string{"", strings.Repeat("s", crdtsync.MaxSpace+1), "\xff"} {
		s := n.Space(space)
		errs := []error{
			s.Update(t.Context(), add(1)),
			s.View(t.Context(), func(*node.View) error { return nil }),
		}
		for _, err := range s.Watch(t.Context(), nil) {
			errs = append(errs, err)
		}
		_, err := s.Export(t.Context(), nil, node.Cut{})
		for i, err := range append(errs, err) {
			if !errors.Is(err, crdtsync.ErrName) {
				t.Errorf("space %.20q: operation %d = %v, want ErrName", space, i, err)
			}
		}
	}
}

// checkSticks runs a write that fails in a transaction that does not heed it.
func checkSticks(t *testing.T, n *node.Node, name string, do func(tx *node.Tx) error, want error) {
	t.Helper()
	var direct error
	err := n.Space("s").Update(t.Context(), func(tx *node.Tx) error {
		likes.Add(tx, 1)
		direct = do(tx)
		likes.Add(tx, 1)
		return nil
	})
	if !errors.Is(direct, want) || !errors.Is(err, want) {
		t.Errorf("%s: the write = %v, Update = %v, want both to be %v", name, direct, err, want)
	}
	if got := n.Spaces(); len(got) != 0 {
		t.Errorf("%s: spaces = %v, want nothing kept", name, got)
	}
}

func TestErrorsStick(t *testing.T) {
	n := open(t)
	long := strings.Repeat("x", crdt.MaxElement)
	for name, tc := range map[string]struct {
		do   func(tx *node.Tx) error
		want error
	}{
		"element too long":    {func(tx *node.Tx) error { return tags.Add(tx, long) }, crdt.ErrValue},
		"element not a value": {func(tx *node.Tx) error { return node.ORSet[func()]("f").Remove(tx, nil) }, crdt.ErrValue},
		"value not UTF-8":     {func(tx *node.Tx) error { return title.Set(tx, "\xff") }, crdt.ErrValue},
		"drafts not UTF-8":    {func(tx *node.Tx) error { return drafts.Set(tx, "\xff") }, crdt.ErrValue},
		"removed for ever":    {func(tx *node.Tx) error { once.Add(tx, "x"); once.Remove(tx, "x"); return once.Add(tx, "x") }, crdt.ErrRemoved},
		"counter up":          {func(tx *node.Tx) error { likes.Add(tx, math.MaxInt64-1); return likes.Add(tx, 1) }, crdt.ErrOverflow},
		"counter down":        {func(tx *node.Tx) error { likes.Add(tx, math.MinInt64+1); return likes.Add(tx, -1) }, crdt.ErrOverflow},
		"unknown kind": {func(tx *node.Tx) error {
			return tx.Write(crdtsync.CellKey{Object: "o", Kind: "blob"}, crdt.Op{Put: true})
		}, crdtsync.ErrName},
		"malformed write": {func(tx *node.Tx) error {
			return tx.Write(crdtsync.CellKey{Object: "o", Kind: "orset", Element: "?"}, crdt.Op{Put: true})
		}, crdt.ErrWrite},
	} {
		checkSticks(t, n, name, tc.do, tc.want)
	}
	if err := n.Space("s").Update(t.Context(), func(tx *node.Tx) error { tags.Add(tx, long); return errStop }); !errors.Is(err, errStop) {
		t.Errorf("Update = %v, want the function's own error", err)
	}
}

// TestLargestTransaction finds the largest transaction that fits: one byte more
// is a TooLargeError that leaves nothing.
func TestLargestTransaction(t *testing.T) {
	const most = 1 << 20
	n := openConfig(t, node.Config{Store: memstore.New(), MaxChange: most})
	s := n.Space("s")
	write := func(size int) error {
		return s.Update(t.Context(), func(tx *node.Tx) error { return node.LWW[[]byte]("o").Set(tx, make([]byte, size)) })
	}
	low, high := most-1000, most // fits, does not fit
	for low+1 < high {
		before := s.Summary()
		middle := (low + high) / 2
		err := write(middle)
		e, tooLarge := errors.AsType[*crdtsync.TooLargeError](err)
		switch {
		case err == nil:
			low = middle
		case tooLarge && e.Size > most && e.Limit == most && s.Summary() == before:
			high = middle
		default:
			t.Fatalf("a value of %d bytes: %v", middle, err)
		}
	}
	if low < most-200 || write(low) != nil {
		t.Errorf("the largest value has %d bytes, the limit of a change is %d", low, most)
	}
	other := open(t)
	if _, err := other.Import(t.Context(), strings.NewReader(string(export(t, s, node.Cut{})))); err != nil {
		t.Errorf("the largest change cannot be carried: %v", err)
	}
	checkSound(t, n, "s")
}

// TestUnknownKindsAreKeptAndPassedOn sends a type through a node that does not
// know it.
func TestUnknownKindsAreKeptAndPassedOn(t *testing.T) {
	simple := openConfig(t, node.Config{Store: memstore.New(), Kinds: crdt.NewKinds(crdt.LWWKind)})
	from, to := open(t), open(t)
	mustUpdate(t, from.Space("s"), func(tx *node.Tx) error { return errors.Join(tags.Add(tx, "x"), title.Set(tx, "y")) })
	for _, way := range [][2]*node.Node{{from, simple}, {simple, to}} {
		file := export(t, way[0].Space("s"), node.Cut{})
		if report, err := way[1].Import(t.Context(), strings.NewReader(string(file))); err != nil || report.Applied != 1 {
			t.Fatalf("Import = %+v, %v", report, err)
		}
	}
	if got := problems(simple); !slices.Equal(got, []string{"unknown_type"}) {
		t.Errorf("problems = %v, want unknown_type", got)
	}
	mustView(t, simple.Space("s"), func(v *node.View) error {
		if got, ok, err := title.Get(v); got != "y" || !ok || err != nil {
			t.Errorf("title = %q, %v, %v; want the part that is known", got, ok, err)
		}
		return nil
	})
	if got, want := to.Space("s").Summary().Cells, from.Space("s").Summary().Cells; got != want {
		t.Error("the content changed on its way through a node that does not know its type")
	}
}

// TestManyWritesTakenBack writes more cells than a transaction looks through one
// by one, takes some back and writes some of those again.
func TestManyWritesTakenBack(t *testing.T) {
	n := openConfig(t, node.Config{Store: memstore.New()})
	s := n.Space("s")
	for _, size := range []int{4, 8, 9, 40} {
		var want []int
		set := node.ORSet[int](fmt.Sprint("set of ", size))
		mustUpdate(t, s, func(tx *node.Tx) error {
			var errs []error
			for i := range size {
				errs = append(errs, set.Add(tx, i))
			}
			for i := range size {
				if i%4 != 0 {
					errs = append(errs, set.Remove(tx, i))
				}
			}
			if errs = append(errs, set.Add(tx, 1)); !tx.Changed() {
				t.Error("Changed = false after writes")
			}
			for i := range size {
				if i%4 == 0 || i == 1 {
					want = append(want, i)
				}
			}
			if got := slices.Sorted(slices.Values(all(t, set.All(tx)))); !slices.Equal(got, want) {
				t.Errorf("within the transaction: %v, want %v", got, want)
			}
			return errors.Join(errs...)
		})
		err := s.View(t.Context(), func(v *node.View) error {
			if got := slices.Sorted(slices.Values(all(t, set.All(v)))); !slices.Equal(got, want) {
				t.Errorf("of %d: %v, want %v", size, got, want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	before := s.Summary().Changes
	mustUpdate(t, s, func(tx *node.Tx) error {
		err := errors.Join(tags.Add(tx, "a"), tags.Remove(tx, "a"))
		if tx.Changed() {
			t.Error("Changed = true after everything was taken back")
		}
		return err
	})
	if got := s.Summary().Changes; got != before {
		t.Errorf("%d changes after a transaction that took everything back, want %d", got, before)
	}
}
