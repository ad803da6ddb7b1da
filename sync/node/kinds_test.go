package node_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// A stage says how far a task has come. Tasks never go back: of two stages the
// later one holds, which makes stages a lattice.
type stage byte

const (
	planned stage = iota
	begun
	finished
)

func (s *stage) Merge(from *stage) bool {
	if *from <= *s {
		return false
	}
	*s = *from
	return true
}

func (s *stage) Equal(o *stage) bool                     { return *s == *o }
func (s *stage) Clone() *stage                           { c := *s; return &c }
func (s *stage) AppendBinary(dst []byte) ([]byte, error) { return append(dst, byte(*s)), nil }

func decodeStage(b []byte) (stage, error) {
	if len(b) != 1 || b[0] > byte(finished) {
		return 0, errors.New("not a stage")
	}
	return stage(b[0]), nil
}

// board refers to an object of stages by the name of a task.
type board struct{ object.Ref }

func newBoard(key string) board { return board{object.NewRef(key, "board")} }

func (b board) Move(tx object.Tx, task string, to stage) error {
	w := b.Writer(tx)
	element, err := crdt.EncodeElement(task)
	if err != nil {
		return w.Fail(err)
	}
	payload, _ := to.AppendBinary(nil)
	return w.Write(string(element), crdt.Op{Put: true, Payload: payload})
}

func (b board) Stage(s object.Space, task string) (stage, error) {
	element, err := crdt.EncodeElement(task)
	if err != nil {
		return 0, err
	}
	cell, err := b.Reader(s).Cell(string(element))
	if err != nil || cell == nil {
		return 0, err
	}
	return decodeStage(cell)
}

// A lattice of one's own is a type of objects like any other. Check it with
// package mergetest first.
func Example_ownKind() {
	ctx := context.Background()
	kinds := crdt.Builtin()
	if err := kinds.Add(must(crdt.NewLatticeKind("board", crdt.CheckElement, decodeStage))); err != nil {
		fmt.Println(err)
	}
	n := must(node.Open(ctx, node.Config{Store: memstore.New(), Kinds: kinds}))
	defer n.Close()

	house, tasks := n.Space("house"), newBoard("tasks")
	err := errors.Join(
		house.Update(ctx, func(tx *node.Tx) error { return tasks.Move(tx, "paint", finished) }),
		house.Update(ctx, func(tx *node.Tx) error { return tasks.Move(tx, "paint", begun) }), // late: it changes nothing
	)
	err = errors.Join(err, house.View(ctx, func(v *node.View) error {
		at, err := tasks.Stage(v, "paint")
		fmt.Println(at == finished, err)
		return err
	}))
	fmt.Println(err)
	// Output:
	// true <nil>
	// <nil>
}
