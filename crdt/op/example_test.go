package op_test

import (
	"fmt"

	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/crdt/op"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// Two replicas change a set at the same time; each sends what it did, and the
// network repeats and reorders.
func ExampleReplica() {
	laptop := op.NewReplica(op.Config{Self: merge.Origin{15: 1}})
	phone := op.NewReplica(op.Config{Self: merge.Origin{15: 2}})
	tags := object.NewORSet[string]("tags")
	change := func(r *op.Replica, fn func(tx object.Tx) error) *op.Message {
		m, err := r.Do(max(hlc.New(1000, 0), r.LastTime()+1), fn)
		if err != nil {
			panic(err)
		}
		return m
	}
	deliver := func(r *op.Replica, messages ...*op.Message) {
		for _, m := range messages {
			if _, err := r.Receive(m); err != nil {
				panic(err)
			}
		}
	}

	first := change(laptop, func(tx object.Tx) error { return tags.Add(tx, "home") })
	second := change(laptop, func(tx object.Tx) error { return tags.Add(tx, "work") })
	deliver(phone, second, second) // waits for the first
	fmt.Println("missing:", phone.Delivery().Missing())
	deliver(phone, first)

	removed := change(phone, func(tx object.Tx) error { return tags.Remove(tx, "home") })
	again := change(laptop, func(tx object.Tx) error { return tags.Add(tx, "home") })
	deliver(laptop, removed)
	deliver(phone, again)
	for tag, err := range tags.All(laptop) {
		fmt.Println(tag, err)
	}
	fmt.Println("equal:", laptop.Equal(phone))
	// Output:
	// missing: [{00000000-0000-0000-0000-000000000001 1 1}]
	// home <nil>
	// work <nil>
	// equal: true
}

// A Delivery carries messages of any type.
func ExampleDelivery() {
	ann, bob, eve := merge.Origin{15: 1}, merge.Origin{15: 2}, merge.Origin{15: 3}
	from := op.NewDelivery(op.DeliveryConfig[string]{Self: ann})
	over := op.NewDelivery(op.DeliveryConfig[string]{Self: bob})
	to := op.NewDelivery(op.DeliveryConfig[string]{
		Self: eve, Members: []merge.Origin{ann, bob},
		Deliver: func(_ op.Header, text string) error { fmt.Println(text); return nil },
		Stable:  func(d merge.Dot) { fmt.Println("everybody has", d) },
	})

	question := from.Send("Lunch?")
	over.Receive(question, "Lunch?")
	answer := over.Send("Yes!")

	to.Receive(answer, "Yes!") // the answer overtakes the question
	to.Receive(question, "Lunch?")
	fmt.Println("not known to have the answer:", to.Blocking(answer.Dot))
	from.Receive(answer, "Yes!")
	to.Acknowledge(ann, from.Vector())
	// Output:
	// Lunch?
	// Yes!
	// everybody has 00000000-0000-0000-0000-000000000001/1
	// not known to have the answer: [00000000-0000-0000-0000-000000000001]
	// everybody has 00000000-0000-0000-0000-000000000002/1
}
