package crdt_test

import (
	"fmt"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// Removing a field takes away what the remover had seen: what is counted at the
// same time elsewhere stays.
func ExampleORMap() {
	type cart = crdt.ORMap[string, crdt.PNCounter, *crdt.PNCounter]
	phone, laptop := merge.Origin{15: 1}, merge.Origin{15: 2}
	count := func(c *cart, origin merge.Origin, n int64) *cart {
		delta, err := c.Apply("apples", func(v *crdt.PNCounter) (*crdt.PNCounter, error) { return v.Add(origin, n) })
		if err != nil {
			fmt.Println(err)
		}
		return delta
	}

	var onPhone, onLaptop cart
	onLaptop.Merge(count(&onPhone, phone, 5))
	removed := onPhone.Remove(phone, "apples")
	added := count(&onLaptop, laptop, 2)
	onPhone.Merge(added)
	onLaptop.Merge(removed)

	apples, _ := onPhone.Get("apples")
	fmt.Println(apples.Value(), onPhone.Equal(&onLaptop))
	// Output: 2 true
}
