package object_test

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/crdt/op"
	"github.com/joinery-crdt/joinery/merge"
)

// References are values that name an object; a replica in operation form stands
// for everything that holds objects.
func Example() {
	var (
		title = object.NewLWWRegister[string]("title")
		tags  = object.NewORSet[string]("tags")
		likes = object.NewPNCounter("likes")
	)
	r := op.NewReplica(op.Config{Self: merge.Origin{1}})
	_, err := r.Do(1, func(tx object.Tx) error {
		if err := tags.Add(tx, "home"); err != nil {
			return err
		}
		if err := title.Set(tx, "Groceries"); err != nil {
			return err
		}
		return likes.Add(tx, 3)
	})
	if err != nil {
		panic(err)
	}
	name, _, _ := title.Get(r)
	n, _ := likes.Value(r)
	fmt.Println(name, n)
	for tag := range tags.All(r) {
		fmt.Println(tag)
	}
	// Output:
	// Groceries 3
	// home
}

// HighScore refers to a kind of an application's own, a number that only grows.
type HighScore struct{ object.Ref }

// NewHighScore refers to the high score under key.
func NewHighScore(key string) HighScore { return HighScore{object.NewRef(key, highScore{}.Name())} }

// Reach raises the score.
func (h HighScore) Reach(tx object.Tx, n uint64) error {
	return h.Writer(tx).Write("", crdt.Op{Put: true, Payload: binary.BigEndian.AppendUint64(nil, n)})
}

// Get returns the score.
func (h HighScore) Get(s object.Space) (uint64, error) {
	cell, err := h.Reader(s).Cell("")
	if err != nil || cell == nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(cell), nil
}

// highScore is the kind: one cell, of which the larger value stays.
type highScore struct{}

func (highScore) Name() string { return "highscore" }

func (highScore) Check(w crdt.Write) error {
	if !w.Put || len(w.Payload) != 8 || len(w.Element) > 0 || len(w.Seen) > 0 {
		return &crdt.WriteError{Kind: "highscore", Problem: "a score is 8 bytes in the one cell"}
	}
	return nil
}

func (highScore) Join(cell []byte, _ merge.Dots, w crdt.Write) ([]byte, error) {
	if string(cell) >= string(w.Payload) {
		return cell, nil
	}
	return w.Payload, nil
}

func (h highScore) Merge(element []byte, mine, theirs crdt.Held) ([]byte, error) {
	if len(element) > 0 || theirs.Cell != nil && len(theirs.Cell) != 8 {
		return nil, &crdt.CellError{Kind: h.Name(), Err: errors.New("a score is 8 bytes in the one cell")}
	}
	return h.Join(mine.Cell, nil, crdt.Write{Op: crdt.Op{Payload: theirs.Cell}})
}

// A reference to a kind of one's own embeds a Ref.
func ExampleNewRef() {
	kinds := crdt.Builtin()
	kinds["highscore"] = highScore{}
	ann := op.NewReplica(op.Config{Self: merge.Origin{1}, Kinds: kinds})
	bob := op.NewReplica(op.Config{Self: merge.Origin{2}, Kinds: kinds})
	chess := NewHighScore("chess")

	low, _ := ann.Do(1, func(tx object.Tx) error { return chess.Reach(tx, 7) })
	high, _ := bob.Do(1, func(tx object.Tx) error { return chess.Reach(tx, 12) })
	ann.Receive(high)
	bob.Receive(low)
	a, _ := chess.Get(ann)
	b, _ := chess.Get(bob)
	fmt.Println(a, b)
	// Output: 12 12
}
