package object_test

import (
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/crdt/op"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// fake is a space and a transaction in which every cell has the same state, or
// cannot be read or written.
type fake struct {
	element  string
	state    []byte
	readErr  error
	writeErr error
	failed   error
	written  int
}

func (f *fake) Reader(string, string) object.Reader { return f }
func (f *fake) Writer(string, string) object.Writer { return f }
func (f *fake) Cell(string) ([]byte, error)         { return f.state, f.readErr }
func (f *fake) Before(string) ([]byte, error)       { return f.state, f.readErr }
func (f *fake) Dot() merge.Dot                      { return merge.Dot{Seq: 1} }
func (f *fake) Time() hlc.Timestamp                 { return 1 }

func (f *fake) Cells(string) iter.Seq2[object.Cell, error] {
	return func(yield func(object.Cell, error) bool) {
		if yield(object.Cell{Element: f.element, State: f.state}, nil) && f.readErr != nil {
			yield(object.Cell{}, f.readErr)
		}
	}
}

func (f *fake) Write(string, crdt.Op) error {
	f.written++
	return f.writeErr
}

func (f *fake) Fail(err error) error {
	f.failed = err
	return err
}

// reads are all methods that read, by type; the error is the last one yielded.
func reads() map[string]func(s object.Space) error {
	drain := func(all iter.Seq2[string, error]) (err error) {
		for _, e := range all {
			if err != nil {
				return errors.New("more behind an error")
			}
			err = e
		}
		return err
	}
	return map[string]func(s object.Space) error{
		"gset.All":     func(s object.Space) error { return drain(object.NewGSet[string]("k").All(s)) },
		"twopset.Has":  func(s object.Space) error { _, err := object.NewTwoPSet[string]("k").Has(s, "x"); return err },
		"twopset.All":  func(s object.Space) error { return drain(object.NewTwoPSet[string]("k").All(s)) },
		"rwset.Has":    func(s object.Space) error { _, err := object.NewRWSet[string]("k").Has(s, "x"); return err },
		"rwset.All":    func(s object.Space) error { return drain(object.NewRWSet[string]("k").All(s)) },
		"rwset.Len":    func(s object.Space) error { _, err := object.NewRWSet[string]("k").Len(s); return err },
		"orset.All":    func(s object.Space) error { return drain(object.NewORSet[string]("k").All(s)) },
		"orset.Len":    func(s object.Space) error { _, err := object.NewORSet[string]("k").Len(s); return err },
		"lww.Get":      func(s object.Space) error { _, _, err := object.NewLWWRegister[string]("k").Get(s); return err },
		"mv.Values":    func(s object.Space) error { _, err := object.NewMVRegister[string]("k").Values(s); return err },
		"counter.Read": func(s object.Space) error { _, err := object.NewPNCounter("k").Value(s); return err },
	}
}

// writes are all methods that write.
func writes() map[string]func(tx object.Tx) error {
	return map[string]func(tx object.Tx) error{
		"gset.Add":       func(tx object.Tx) error { return object.NewGSet[string]("k").Add(tx, "x") },
		"twopset.Add":    func(tx object.Tx) error { return object.NewTwoPSet[string]("k").Add(tx, "x") },
		"twopset.Remove": func(tx object.Tx) error { return object.NewTwoPSet[string]("k").Remove(tx, "x") },
		"orset.Add":      func(tx object.Tx) error { return object.NewORSet[string]("k").Add(tx, "x") },
		"orset.Remove":   func(tx object.Tx) error { return object.NewORSet[string]("k").Remove(tx, "x") },
		"rwset.Add":      func(tx object.Tx) error { return object.NewRWSet[string]("k").Add(tx, "x") },
		"rwset.Remove":   func(tx object.Tx) error { return object.NewRWSet[string]("k").Remove(tx, "x") },
		"lww.Set":        func(tx object.Tx) error { return object.NewLWWRegister[string]("k").Set(tx, "x") },
		"mv.Set":         func(tx object.Tx) error { return object.NewMVRegister[string]("k").Set(tx, "x") },
		"mv.Clear":       func(tx object.Tx) error { return object.NewMVRegister[string]("k").Clear(tx) },
		"counter.Add":    func(tx object.Tx) error { return object.NewPNCounter("k").Add(tx, 1) },
		"counter.Reset":  func(tx object.Tx) error { return object.NewPNCounter("k").Reset(tx) },
	}
}

var errDisk = errors.New("disk")

// TestDamagedCells: what no kind has written is an error of every method, and
// makes the transaction fail.
func TestDamagedCells(t *testing.T) {
	damaged := func() *fake { return &fake{element: "\x61x", state: []byte{0xff, 0xff}} }
	for name, read := range reads() {
		if err := read(damaged()); (err == nil) != (name == "gset.All" || name == "orset.All" || name == "orset.Len") {
			t.Errorf("%s of a damaged cell = %v", name, err)
		}
	}
	for name, write := range writes() {
		if name == "gset.Add" { // that it is there is all it reads
			continue
		}
		f := damaged()
		if err := write(f); err == nil || f.failed != err || f.written > 0 {
			t.Errorf("%s to a damaged cell = %v, the transaction has %v and %d writes", name, err, f.failed, f.written)
		}
	}
}

// TestStoresThatFail: the error of a store reaches the caller.
func TestStoresThatFail(t *testing.T) {
	for name, read := range reads() {
		if err := read(&fake{element: "\x61x", state: nil, readErr: errDisk}); !errors.Is(err, errDisk) {
			t.Errorf("%s = %v, want the store's error", name, err)
		}
	}
	for name, write := range writes() {
		if err := write(&fake{readErr: errDisk}); !errors.Is(err, errDisk) {
			t.Errorf("%s of what cannot be read = %v, want the store's error", name, err)
		}
		if name == "twopset.Remove" || name == "counter.Reset" { // of nothing, they write nothing
			continue
		}
		if err := write(&fake{writeErr: errDisk}); !errors.Is(err, errDisk) {
			t.Errorf("%s of what cannot be written = %v, want the store's error", name, err)
		}
	}
}

// TestAnotherGoType: what another type was written as is a ValueError, where it
// does not fit.
func TestAnotherGoType(t *testing.T) {
	r := op.NewReplica(op.Config{})
	if _, err := r.Do(1, func(tx object.Tx) error {
		return errors.Join(
			object.NewORSet[string]("k").Add(tx, "x"), object.NewLWWRegister[string]("k").Set(tx, "x"),
			object.NewMVRegister[string]("k").Set(tx, "x"),
		)
	}); err != nil {
		t.Fatal(err)
	}
	_, errSet := object.NewORSet[int]("k").Len(r)
	_, _, errLatest := object.NewLWWRegister[int]("k").Get(r)
	_, errMulti := object.NewMVRegister[int]("k").Values(r)
	for i, err := range []error{errSet, errLatest, errMulti} {
		if !errors.Is(err, crdt.ErrValue) {
			t.Errorf("read %d = %v, want ErrValue", i, err)
		}
	}
	if n, err := object.NewORSet[any]("k").Len(r); n != 1 || err != nil {
		t.Errorf("as any: %d, %v, want 1", n, err)
	}
}

// TestUnusableValues fail before they reach a cell.
func TestUnusableValues(t *testing.T) {
	for i, write := range []func(tx object.Tx) error{
		func(tx object.Tx) error { return object.NewORSet[chan int]("k").Add(tx, nil) },
		func(tx object.Tx) error { return object.NewRWSet[string]("k").Remove(tx, "\xff") },
		func(tx object.Tx) error { return object.NewGSet[[]byte]("k").Add(tx, make([]byte, crdt.MaxElement)) },
		func(tx object.Tx) error { return object.NewLWWRegister[func()]("k").Set(tx, nil) },
		func(tx object.Tx) error { return object.NewMVRegister[string]("k").Set(tx, "\xff") },
	} {
		f := &fake{}
		if err := write(f); !errors.Is(err, crdt.ErrValue) || f.failed != err || f.written > 0 {
			t.Errorf("write %d = %v, the transaction has %v and %d writes, want ErrValue", i, err, f.failed, f.written)
		}
	}
	if _, err := object.NewORSet[string]("k").Has(&fake{}, "\xff"); !errors.Is(err, crdt.ErrValue) {
		t.Errorf("Has = %v, want ErrValue", err)
	}
}

// TestKeysAndKinds: two kinds under a key are two objects, and so are two keys
// of which one begins with the other.
func TestKeysAndKinds(t *testing.T) {
	r := op.NewReplica(op.Config{})
	sets := []object.ORSet[string]{object.NewORSet[string]("k"), object.NewORSet[string]("k\x00"), object.NewORSet[string]("kk")}
	veto := object.NewRWSet[string]("k")
	if _, err := r.Do(1, func(tx object.Tx) error {
		for i, s := range sets {
			if err := s.Add(tx, fmt.Sprint(i)); err != nil {
				return err
			}
		}
		return veto.Remove(tx, "0")
	}); err != nil {
		t.Fatal(err)
	}
	for i, s := range sets {
		has, err := s.Has(r, fmt.Sprint(i))
		if n, err2 := s.Len(r); !has || n != 1 || err != nil || err2 != nil {
			t.Errorf("%v: has its own %v, %d elements, %v, %v", s.Object(), has, n, err, err2)
		}
	}
	if got, want := veto.Object(), (object.Object{Key: "k", Kind: "rwset"}); got != want {
		t.Errorf("Object = %v, want %v", got, want)
	}
}
