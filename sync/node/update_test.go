package node_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

var errStop = errors.New("stop")

// occupy makes the committer wait in a transaction until release is called.
func occupy(t *testing.T, n *node.Node) (release func()) {
	t.Helper()
	running, end := make(chan struct{}), make(chan struct{})
	go n.Space("occupied").Update(context.Background(), func(*node.Tx) error {
		close(running)
		<-end
		return nil
	})
	<-running
	return sync.OnceFunc(func() { close(end) })
}

func TestFailedTransactionLeavesNothing(t *testing.T) {
	tooLarge := make([]byte, 1<<20)
	for name, fn := range map[string]func(tx *node.Tx) error{
		"error":           func(*node.Tx) error { return errStop },
		"ignored error":   func(tx *node.Tx) error { node.LWW[string]("").Set(tx, "x"); return nil },
		"too large":       func(tx *node.Tx) error { return node.LWW[[]byte]("big").Set(tx, tooLarge) },
		"ignored overrun": func(tx *node.Tx) error { node.LWW[[]byte]("big").Set(tx, tooLarge); return nil },
		"removed element": func(tx *node.Tx) error { once.Add(tx, "gone"); return nil },
		"not a value":     func(tx *node.Tx) error { node.LWW[chan int]("c").Set(tx, nil); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			n := openConfig(t, node.Config{Store: memstore.New(), MaxChange: 1 << 19})
			s := n.Space("s")
			mustUpdate(t, s, func(tx *node.Tx) error { once.Add(tx, "gone"); return once.Remove(tx, "gone") })
			before := s.Summary()
			err := s.Update(t.Context(), func(tx *node.Tx) error {
				likes.Add(tx, 1)
				tags.Add(tx, "x")
				return fn(tx)
			})
			if err == nil {
				t.Error("Update = nil, want an error")
			}
			if after := s.Summary(); after != before {
				t.Errorf("summary = %+v, was %+v", after, before)
			}
			mustUpdate(t, s, add(1))
			if got := s.Vector().Get(n.Origin()); got != 2 {
				t.Errorf("the next change has number %d, want 2", got)
			}
			checkSound(t, n, "s")
		})
	}
}

func TestPanicIsTheCallers(t *testing.T) {
	n := open(t)
	s := n.Space("s")
	func() {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("recovered %v, want boom", got)
			}
		}()
		s.Update(t.Context(), func(tx *node.Tx) error {
			tags.Add(tx, "x")
			panic("boom")
		})
	}()
	mustUpdate(t, s, add(1))
	if got := s.Summary().Changes; got != 1 {
		t.Errorf("%d changes, want the one after the panic", got)
	}
}

func TestGoexitAbortsTheTransaction(t *testing.T) {
	n := open(t)
	s := n.Space("s")
	var wg sync.WaitGroup
	wg.Go(func() {
		s.Update(t.Context(), func(tx *node.Tx) error {
			tags.Add(tx, "x")
			runtime.Goexit()
			return nil
		})
	})
	wg.Wait()
	mustUpdate(t, s, add(1))
	if got := s.Summary().Changes; got != 1 {
		t.Errorf("%d changes, want the one after Goexit", got)
	}
}

// TestCancelledUpdate ends the context at each point of an Update's way: nil
// means that the change is durable, an error that there is none.
func TestCancelledUpdate(t *testing.T) {
	for _, at := range []string{"before", "while it waits", "at its turn", "inside", "at its commit", "never"} {
		t.Run(at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				cancelAt := func(point string) error {
					if point == at {
						cancel()
					}
					return nil
				}
				m := meddle(memstore.New())
				n := openConfig(t, node.Config{Store: m})
				release := occupy(t, n)
				m.set(hooks{begin: func() error { return cancelAt("at its turn") }, commit: func() error { return cancelAt("at its commit") }})
				cancelAt("before")
				var err error
				var wg sync.WaitGroup
				wg.Go(func() {
					err = n.Space("s").Update(ctx, func(tx *node.Tx) error {
						cancelAt("inside")
						return ids.Add(tx, 1)
					})
				})
				synctest.Wait()
				cancelAt("while it waits")
				if at == "before" || at == "while it waits" {
					wg.Wait() // although the committer is occupied
				}
				release()
				wg.Wait()
				taken := at == "inside" || at == "at its commit" || at == "never"
				if taken && err != nil || !taken && !errors.Is(err, context.Canceled) {
					t.Errorf("Update = %v", err)
				}
				if got := idsOf(t, n.Space("s")); len(got) == 1 != taken {
					t.Errorf("ids = %v, error %v", got, err)
				}
				m.set(hooks{})
				mustUpdate(t, n.Space("s"), add(2))
			})
		})
	}
}

// TestCloseAtEveryMoment closes a node under writers that are in every state:
// none hangs, and exactly the acknowledged changes are there afterwards.
func TestCloseAtEveryMoment(t *testing.T) {
	for _, at := range []string{"idle", "waiting", "inside", "at the commit", "after the commit"} {
		t.Run(at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := new(memstore.Disk)
				m := meddle(on(t, disk))
				n, err := node.Open(t.Context(), node.Config{Store: m})
				if err != nil {
					t.Fatal(err)
				}
				var closing sync.WaitGroup
				closeAt := func(point string) error {
					if point == at {
						closing.Go(func() { n.Close() })
						closing.Go(func() { n.Close() })
						synctest.Wait()
					}
					return nil
				}
				release := occupy(t, n)
				m.set(hooks{
					commit: sync.OnceValue(func() error { return closeAt("at the commit") }),
					done:   sync.OnceValue(func() error { return closeAt("after the commit") }),
				})
				const writers = 20
				errs := make([]error, writers)
				var wg sync.WaitGroup
				for i := range writers {
					wg.Go(func() {
						errs[i] = n.Space("s").Update(t.Context(), func(tx *node.Tx) error {
							if i == writers/2 {
								closeAt("inside")
							}
							return ids.Add(tx, i)
						})
					})
				}
				synctest.Wait()
				closeAt("waiting")
				release()
				wg.Wait()
				closeAt("idle")
				closing.Wait()
				checkClosed(t, n)
				var want []int
				for i, err := range errs {
					switch {
					case err == nil:
						want = append(want, i)
					case !errors.Is(err, node.ErrClosed):
						t.Errorf("Update = %v, want ErrClosed", err)
					}
				}
				if got := idsOf(t, openOn(t, disk).Space("s")); !slices.Equal(got, want) {
					t.Errorf("after reopening ids = %v, acknowledged %v", got, want)
				}
			})
		})
	}
}

func checkClosed(t *testing.T, n *node.Node) {
	t.Helper()
	if err := n.Space("s").Update(t.Context(), add(1)); !errors.Is(err, node.ErrClosed) {
		t.Errorf("Update of a closed node = %v, want ErrClosed", err)
	}
	if err := n.Space("s").View(t.Context(), func(*node.View) error { return nil }); !errors.Is(err, node.ErrClosed) {
		t.Errorf("View of a closed node = %v, want ErrClosed", err)
	}
	if err := n.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
}

func TestCloseWaitsForARunningFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(memstore.Disk)
		n := openOn(t, disk)
		inside, end := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			err := n.Space("s").Update(t.Context(), func(tx *node.Tx) error {
				close(inside)
				<-end
				return ids.Add(tx, 1)
			})
			if err != nil {
				t.Errorf("Update = %v, want nil: it had begun before Close", err)
			}
		})
		<-inside
		var closed atomic.Int64
		for range 2 {
			wg.Go(func() { n.Close(); closed.Add(1) })
		}
		synctest.Wait()
		if got := closed.Load(); got != 0 {
			t.Errorf("%d calls of Close returned while a function ran", got)
		}
		close(end)
		wg.Wait()
		if got := idsOf(t, openOn(t, disk).Space("s")); !slices.Equal(got, []int{1}) {
			t.Errorf("after reopening ids = %v, want 1", got)
		}
	})
}

func TestManyWritersShareCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := meddle(memstore.New())
		n := openConfig(t, node.Config{Store: m})
		release := occupy(t, n)
		before := m.updates.Load()
		const writers = 1000
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() { mustUpdate(t, n.Space(fmt.Sprint("s", i%3)), add(i)) })
		}
		synctest.Wait()
		release()
		wg.Wait()
		if got := m.updates.Load() - before; got != 1 {
			t.Errorf("%d transactions that waited together took %d commits, want 1", writers, got)
		}
		for i := range 3 {
			checkSound(t, n, fmt.Sprint("s", i))
		}
	})
}

func TestNothingWrittenTakesNoCommit(t *testing.T) {
	m := meddle(memstore.New())
	n := openConfig(t, node.Config{Store: m})
	s := n.Space("s")
	mustUpdate(t, s, func(tx *node.Tx) error { paths.Add(tx, "here"); return likes.Add(tx, 1) })
	mustUpdate(t, s, func(tx *node.Tx) error { return likes.Reset(tx) })
	before := s.Summary()
	m.set(hooks{commit: func() error { t.Error("a transaction that wrote nothing was committed"); return nil }})
	for name, fn := range map[string]func(tx *node.Tx) error{
		"nothing":           func(*node.Tx) error { return nil },
		"only read":         func(tx *node.Tx) error { _, err := likes.Value(tx); return err },
		"add what is there": func(tx *node.Tx) error { return paths.Add(tx, "here") },
		"remove what is not": func(tx *node.Tx) error {
			return errors.Join(tags.Remove(tx, "x"), once.Remove(tx, "x"), drafts.Clear(tx))
		},
		"add and remove":       func(tx *node.Tx) error { return errors.Join(tags.Add(tx, "x"), tags.Remove(tx, "x")) },
		"set and clear":        func(tx *node.Tx) error { return errors.Join(drafts.Set(tx, "x"), drafts.Clear(tx)) },
		"count by nothing":     func(tx *node.Tx) error { return likes.Add(tx, 0) },
		"reset what is reset":  func(tx *node.Tx) error { return likes.Reset(tx) },
		"reset an empty count": func(tx *node.Tx) error { return node.PNCounter("other").Reset(tx) },
	} {
		if err := s.Update(t.Context(), fn); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if after := s.Summary(); after != before {
			t.Errorf("%s: summary = %+v, was %+v", name, after, before)
		}
	}
}

func TestEndedTransactionIsUseless(t *testing.T) {
	n := open(t)
	s := n.Space("s")
	var kept *node.Tx
	mustUpdate(t, s, func(tx *node.Tx) error { kept = tx; return ids.Add(tx, 1) })
	for name, use := range map[string]func() error{
		"Add": func() error { return ids.Add(kept, 2) },
		"Has": func() error { _, err := ids.Has(kept, 1); return err },
		"Len": func() error { _, err := ids.Len(kept); return err },
		"Set": func() error { return title.Set(kept, "x") },
		"Objects": func() (err error) {
			for _, err = range kept.Objects("") {
			}
			return err
		},
	} {
		if err := use(); !errors.Is(err, node.ErrEnded) {
			t.Errorf("%s after the transaction = %v, want ErrEnded", name, err)
		}
	}
	if got := idsOf(t, s); !slices.Equal(got, []int{1}) {
		t.Errorf("ids = %v, want 1", got)
	}
}
