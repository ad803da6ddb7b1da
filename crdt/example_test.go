package crdt_test

import (
	"errors"
	"fmt"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// The identities of two replicas. In use they come from uuid.New.
var (
	phone  = merge.Origin{15: 1}
	laptop = merge.Origin{15: 2}
)

func ExampleGSet() {
	var onPhone, onLaptop crdt.GSet[string]
	delta := onPhone.Add("tea")
	onLaptop.Add("rice")
	onLaptop.Merge(delta)
	fmt.Println(slices.Sorted(onLaptop.All()))
	// Output: [rice tea]
}

func ExampleTwoPSet() {
	var invitations crdt.TwoPSet[string]
	if _, err := invitations.Add("ada"); err != nil {
		fmt.Println(err)
	}
	invitations.Remove("ada")
	_, err := invitations.Add("ada")
	fmt.Println(invitations.Has("ada"), err)
	// Output: false crdt: the element was removed from a two-phase set and cannot be added again
}

func ExampleORSet() {
	var onPhone, onLaptop crdt.ORSet[string]
	onLaptop.Merge(onPhone.Add(phone, "tea"))

	// Offline, the phone removes tea while the laptop adds it again.
	removed := onPhone.Remove(phone, "tea")
	added := onLaptop.Add(laptop, "tea")

	onPhone.Merge(added)
	onLaptop.Merge(removed)
	fmt.Println(onPhone.Has("tea"), onLaptop.Has("tea"), onPhone.Equal(&onLaptop))
	// Output: true true true
}

func ExampleRWSet() {
	var onPhone, onLaptop crdt.RWSet[string]
	onLaptop.Merge(onPhone.Add(phone, "tea"))

	// Offline, the phone removes tea while the laptop adds it again.
	removed := onPhone.Remove(phone, "tea")
	added := onLaptop.Add(laptop, "tea")

	onPhone.Merge(added)
	onLaptop.Merge(removed)
	fmt.Println(onPhone.Has("tea"), onLaptop.Has("tea"), onPhone.Equal(&onLaptop))
	// Output: false false true
}

func ExamplePNCounter() {
	var onPhone, onLaptop crdt.PNCounter
	up, err := onPhone.Add(phone, 5)
	if err != nil {
		fmt.Println(err)
	}
	if _, err := onLaptop.Add(laptop, -2); err != nil {
		fmt.Println(err)
	}
	onLaptop.Merge(up)
	onLaptop.Merge(up) // delivered twice, counted once
	fmt.Println(onLaptop.Value())
	// Output: 3
}

// A reset takes away what its author has seen, and nothing else.
func ExamplePNCounter_Reset() {
	var onPhone, onLaptop crdt.PNCounter
	up, err := onPhone.Add(phone, 5)
	if err != nil {
		fmt.Println(err)
	}
	onLaptop.Merge(up)
	reset := onLaptop.Reset()
	if _, err := onPhone.Add(phone, 1); err != nil { // concurrent with the reset
		fmt.Println(err)
	}
	onPhone.Merge(reset)
	fmt.Println(onPhone.Value())
	// Output: 1
}

func ExampleGCounter() {
	var onPhone, onLaptop crdt.GCounter
	visits, err := onPhone.Add(phone, 5)
	if err != nil {
		fmt.Println(err)
	}
	if _, err := onLaptop.Add(laptop, 2); err != nil {
		fmt.Println(err)
	}
	onLaptop.Merge(visits)
	fmt.Println(onLaptop.Value())
	// Output: 7
}

// Tickets are sold on two devices, offline, and never more than there are.
func ExampleBoundedCounter() {
	var onPhone, onLaptop crdt.BoundedCounter
	if _, err := onPhone.Inc(phone, 10); err != nil { // ten tickets
		fmt.Println(err)
	}
	share, err := onPhone.Transfer(phone, laptop, 4)
	if err != nil {
		fmt.Println(err)
	}
	onLaptop.Merge(share)

	sold, err := onLaptop.Dec(laptop, 3)
	if err != nil {
		fmt.Println(err)
	}
	_, err = onLaptop.Dec(laptop, 2)
	fmt.Println(err)
	onPhone.Merge(sold)
	fmt.Println(onPhone.Value(), onPhone.Rights(phone), onPhone.Rights(laptop))
	// Output:
	// crdt: origin 00000000-0000-0000-0000-000000000002 has rights to count down by 1, not by 2; have more transferred to it
	// 7 6 1
}

func ExampleEWFlag() {
	var onPhone, onLaptop crdt.EWFlag
	onLaptop.Merge(onPhone.Enable(phone))

	// Offline, the phone disables the flag while the laptop enables it again.
	off, on := onPhone.Disable(phone), onLaptop.Enable(laptop)
	onPhone.Merge(on)
	onLaptop.Merge(off)
	fmt.Println(onPhone.Enabled(), onLaptop.Enabled())
	// Output: true true
}

func ExampleDWFlag() {
	var onPhone, onLaptop crdt.DWFlag
	onLaptop.Merge(onPhone.Enable(phone))

	// Offline, the phone disables the flag while the laptop enables it again.
	off, on := onPhone.Disable(phone), onLaptop.Enable(laptop)
	onPhone.Merge(on)
	onLaptop.Merge(off)
	fmt.Println(onPhone.Enabled(), onLaptop.Enabled())
	// Output: false false
}

func ExampleLWWRegister() {
	var onPhone, onLaptop crdt.LWWRegister[string]
	// In use the times come from an hlc.Clock.
	first, err := onPhone.Set(crdt.Stamp{Time: 100, Origin: phone}, "Groceries")
	if err != nil {
		fmt.Println(err)
	}
	if _, err := onLaptop.Set(crdt.Stamp{Time: 101, Origin: laptop}, "Shopping"); err != nil {
		fmt.Println(err)
	}
	onLaptop.Merge(first) // older: it loses
	title, ok := onLaptop.Get()
	fmt.Println(title, ok)
	// Output: Shopping true
}

func ExampleUSet() {
	var onPhone, onLaptop crdt.USet[string]
	// Each task has an identity of its own. In use it comes from uuid.New.
	delta, err := onPhone.Add(phone, "task 5e0c4a6e")
	if err != nil {
		fmt.Println(err)
	}
	onLaptop.Merge(delta)
	onPhone.Merge(onLaptop.Remove(laptop, "task 5e0c4a6e"))
	fmt.Println(onPhone.Len(), onLaptop.Len())
	// Output: 0 0
}

func ExampleLWWSet() {
	var onPhone, onLaptop crdt.LWWSet[string]
	// In use the times come from an hlc.Clock.
	added, err := onPhone.Add(100, "tea")
	if err != nil {
		fmt.Println(err)
	}
	removed, err := onLaptop.Remove(101, "tea")
	if err != nil {
		fmt.Println(err)
	}
	onPhone.Merge(removed)
	onLaptop.Merge(added) // older: it loses
	fmt.Println(onPhone.Has("tea"), onLaptop.Has("tea"))
	// Output: false false
}

// Of an add and a remove at the same time, the remove wins.
func ExampleRemoveBiasedLWWSet() {
	var onPhone, onLaptop crdt.RemoveBiasedLWWSet[string]
	if _, err := onPhone.Add(100, "tea"); err != nil {
		fmt.Println(err)
	}
	removed, err := onLaptop.Remove(100, "tea")
	if err != nil {
		fmt.Println(err)
	}
	onPhone.Merge(removed)
	fmt.Println(onPhone.Has("tea"))
	// Output: false
}

func ExampleTimes() {
	times := crdt.Times{Added: 100, Removed: 100}
	fmt.Println(times.AddBiased(), times.RemoveBiased())
	// Output: true false
}

func ExamplePNSet() {
	var onPhone, onLaptop crdt.PNSet[string]
	added, err := onPhone.Add(phone, "seat")
	if err != nil {
		fmt.Println(err)
	}
	onLaptop.Merge(added)
	if _, err := onPhone.Add(phone, "seat"); err != nil {
		fmt.Println(err)
	}
	removed, err := onLaptop.Remove(laptop, "seat")
	if err != nil {
		fmt.Println(err)
	}
	onPhone.Merge(removed)
	fmt.Println(onPhone.Has("seat"), onPhone.Count("seat"))
	// Output: true 1
}

func ExampleLWWMap() {
	var onPhone, onLaptop crdt.LWWMap[string, int]
	// In use the times come from an hlc.Clock.
	set, err := onPhone.Set(crdt.Stamp{Time: 100, Origin: phone}, "volume", 7)
	if err != nil {
		fmt.Println(err)
	}
	onLaptop.Merge(set)
	removed, err := onLaptop.Delete(crdt.Stamp{Time: 101, Origin: laptop}, "volume")
	if err != nil {
		fmt.Println(err)
	}
	onPhone.Merge(removed)
	_, err = onPhone.Set(crdt.Stamp{Time: 100, Origin: laptop}, "volume", 9) // by a clock that is behind
	fmt.Println(onPhone.Len(), errors.Is(err, crdt.ErrStale))
	// Output: 0 true
}

func ExampleStamp() {
	a := crdt.Stamp{Time: 100, Origin: phone}
	b := crdt.Stamp{Time: 100, Origin: laptop}
	fmt.Println(a.Compare(b))
	// Output: -1
}

func ExampleMVRegister() {
	var onPhone, onLaptop crdt.MVRegister[string]
	left, err := onPhone.Set(phone, "Groceries")
	if err != nil {
		fmt.Println(err)
	}
	if _, err := onLaptop.Set(laptop, "Shopping"); err != nil {
		fmt.Println(err)
	}
	onLaptop.Merge(left)
	fmt.Println(slices.Collect(onLaptop.Values()), onLaptop.Conflicted())

	if _, err := onLaptop.Set(laptop, "Groceries and more"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(slices.Collect(onLaptop.Values()), onLaptop.Conflicted())
	// Output:
	// [Groceries Shopping] true
	// [Groceries and more] false
}

// A cell that a node keeps: one write of a set element, joined where the cell
// is stored.
func ExampleKind() {
	name, err := crdt.EncodeElement("tea")
	if err != nil {
		fmt.Println(err)
	}
	write := crdt.Write{Dot: merge.Dot{Origin: phone, Seq: 1}, Time: 100, Element: name, Op: crdt.Op{Put: true}}
	if err := crdt.ORSetKind.Check(write); err != nil {
		fmt.Println(err)
	}
	applied := &merge.VersionVector{}
	cell, err := crdt.ORSetKind.Join(nil, applied, write)
	applied.Raise(write.Dot)
	fmt.Println(len(cell), err)

	op, err := crdt.Supersede(cell, false, nil)
	if err != nil {
		fmt.Println(err)
	}
	remove := crdt.Write{Dot: merge.Dot{Origin: phone, Seq: 2}, Time: 101, Element: name, Op: op}
	cell, err = crdt.ORSetKind.Join(cell, applied, remove)
	fmt.Println(len(cell), err)
	// Output:
	// 19 <nil>
	// 0 <nil>
}

// A set that only grows, in a field that can be removed.
func ExampleNested() {
	var tags crdt.Nested[crdt.GSet[string], *crdt.GSet[string]]
	tags.Join(phone, tags.Value().Add("red"))
	tags.Join(phone, tags.Value().Add("blue"))
	fmt.Println(slices.Sorted(tags.Value().All()))
	tags.Reset(phone)
	fmt.Println(tags.Value().Len())
	// Output:
	// [blue red]
	// 0
}

func ExampleBuiltin() {
	fmt.Println(crdt.Builtin().Names())
	// Output: [bounded dwflag ewflag gcounter gset lww lwwmap lwwset lwwset-remove mvregister ormap orset pncounter pnset rwset twopset uset]
}

// The share of one origin, as a counter keeps it.
func ExampleShare() {
	share, err := crdt.Share{}.Add(7)
	if err != nil {
		fmt.Println(err)
	}
	share = share.Reset()
	share, err = share.Add(-3)
	fmt.Println(share, err)
	// Output: {7 3 7 0} <nil>
}

func ExamplePhase() {
	element := crdt.PhaseRemoved
	fmt.Println(element.Merge(&crdt.PhaseAdded), element == crdt.PhaseRemoved)
	// Output: false true
}

func ExampleLatest() {
	winner := &crdt.Latest{Time: 100, Dot: merge.Dot{Origin: phone, Seq: 1}, Value: []byte{1}}
	winner.Merge(&crdt.Latest{Time: 100, Dot: merge.Dot{Origin: laptop, Seq: 1}, Value: []byte{2}})
	fmt.Println(winner.Dot.Origin == laptop)
	// Output: true
}

func ExampleEncodeValue() {
	a, err := crdt.EncodeValue(map[string]int{"b": 2, "a": 1})
	fmt.Printf("%x %v\n", a, err)
	_, err = crdt.EncodeValue("\xff")
	fmt.Println(err)
	// Output:
	// a2616101616202 <nil>
	// crdt: bytes that are not canonical CBOR: text that is not UTF-8
}
