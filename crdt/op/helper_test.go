package op_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/crdt/op"
	"github.com/joinery-crdt/joinery/merge"
)

// origin returns the i-th origin.
func origin(i int) merge.Origin { return merge.Origin{15: byte(i)} }

var a, b, c = origin(1), origin(2), origin(3)

func dot(o merge.Origin, seq uint64) merge.Dot { return merge.Dot{Origin: o, Seq: seq} }

var (
	tags  = object.NewORSet[string]("tags")
	likes = object.NewPNCounter("likes")
	title = object.NewLWWRegister[string]("title")
	draft = object.NewMVRegister[string]("draft")
)

// replica returns an empty replica of one of the origins.
func replica(o merge.Origin) *op.Replica { return op.NewReplica(op.Config{Self: o}) }

// do makes a change, stamped after all that the replica has seen.
func do(t testing.TB, r *op.Replica, fn func(tx object.Tx) error) *op.Message {
	t.Helper()
	m, err := r.Do(r.LastTime()+1, fn)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func add(tag string) func(object.Tx) error {
	return func(tx object.Tx) error { return tags.Add(tx, tag) }
}

func remove(tag string) func(object.Tx) error {
	return func(tx object.Tx) error { return tags.Remove(tx, tag) }
}

// receive delivers messages, of which none may be refused.
func receive(t testing.TB, r *op.Replica, messages ...*op.Message) {
	t.Helper()
	for _, m := range messages {
		if _, err := r.Receive(m); err != nil {
			t.Fatal(err)
		}
	}
}

// tagsOf returns what is in the set of tags.
func tagsOf(t testing.TB, s object.Space) []string {
	t.Helper()
	list := []string{}
	for v, err := range tags.All(s) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	return list
}

func wantTags(t testing.TB, s object.Space, want ...string) {
	t.Helper()
	if got := tagsOf(t, s); !slices.Equal(got, want) {
		t.Errorf("tags = %q, want %q", got, want)
	}
}

// scattered returns the messages shuffled, and some of them repeated.
func scattered[M any](r *rand.Rand, messages []M) []M {
	all := slices.Clone(messages)
	for _, m := range messages {
		if r.IntN(3) == 0 {
			all = append(all, m)
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}
