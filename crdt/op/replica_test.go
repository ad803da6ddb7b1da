package op_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/crdt/op"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// TestOwnEffect: a change is there as soon as it is made, and Receive gives the
// same elsewhere.
func TestOwnEffect(t *testing.T) {
	x, y := replica(a), replica(b)
	first, second := do(t, x, add("home")), do(t, x, add("work"))
	wantTags(t, x, "home", "work")
	for _, step := range []struct {
		m    *op.Message
		want []*op.Message
	}{{second, nil}, {second, nil}, {first, []*op.Message{first, second}}, {first, nil}, {second, nil}} {
		if got, err := y.Receive(step.m); err != nil || !slices.Equal(got, step.want) {
			t.Errorf("Receive(%v) = %v, %v, want %v", step.m.Dot, got, err, step.want)
		}
	}
	if wantTags(t, y, "home", "work"); !x.Equal(y) {
		t.Error("the replicas differ")
	}
}

// TestAddWins, of a concurrent add and remove.
func TestAddWins(t *testing.T) {
	x, y := replica(a), replica(b)
	first := do(t, x, add("home"))
	receive(t, y, first)
	removed, added := do(t, x, remove("home")), do(t, y, add("home"))
	receive(t, x, added)
	receive(t, y, removed)
	wantTags(t, x, "home")
	if wantTags(t, y, "home"); !x.Equal(y) {
		t.Error("the replicas differ")
	}
}

// TestLostRemoveIsRepaired: the remove is lost, shows as missing as soon as
// something later arrives, and comes when it is asked for.
func TestLostRemoveIsRepaired(t *testing.T) {
	x, y := op.NewReplica(op.Config{Self: a, Members: []merge.Origin{b}, Retain: true}), replica(b)
	receive(t, y, do(t, x, add("home")))
	do(t, x, remove("home")) // lost
	receive(t, y, do(t, x, add("work")))
	wantTags(t, y, "home")
	if got, want := y.Delivery().Missing(), []op.Gap{{Origin: a, First: 2, Last: 2}}; !slices.Equal(got, want) {
		t.Errorf("missing %v, want %v", got, want)
	}
	for _, m := range x.Delivery().Resend(y.Delivery().Vector()) {
		receive(t, y, m)
	}
	if wantTags(t, y, "work"); !x.Equal(y) {
		t.Error("the replicas differ")
	}
	x.Delivery().Acknowledge(b, y.Delivery().Vector())
	for h := range x.Delivery().Resend(&merge.VersionVector{}) {
		t.Errorf("%v is still retained", h.Dot)
	}
}

// TestDuplicateIncrement: delivered however often, an increment counts once.
func TestDuplicateIncrement(t *testing.T) {
	x, y := replica(a), replica(b)
	m := do(t, x, func(tx object.Tx) error { return likes.Add(tx, 5) })
	for range 10 {
		receive(t, y, m)
		receive(t, x, m)
	}
	for _, r := range []*op.Replica{x, y} {
		if n, err := likes.Value(r); n != 5 || err != nil {
			t.Errorf("value = %d, %v, want 5", n, err)
		}
	}
}

// TestSupersededOpsDependOnTheirDots: an op that names a dot its author cannot
// have seen waits for it, or two replicas would differ.
func TestSupersededOpsDependOnTheirDots(t *testing.T) {
	first := do(t, replica(a), add("home"))
	forged := &op.Message{
		Dot: dot(c, 1), Time: 1,
		Ops: []op.CellOp{{Cell: first.Ops[0].Cell, Op: crdt.Op{Seen: merge.DotSet{first.Dot}}}},
	}
	early, late := replica(origin(8)), replica(origin(9))
	receive(t, early, forged, first)
	receive(t, late, first, forged)
	if wantTags(t, early); !early.Equal(late) {
		t.Errorf("tags are %v and %v", tagsOf(t, early), tagsOf(t, late))
	}
}

// TestTransaction: it reads its own writes, makes one op per cell, and nothing
// is left of one that fails.
func TestTransaction(t *testing.T) {
	r := replica(a)
	do(t, r, add("stays"))
	before := r.Clone(op.Config{Self: a})
	m := do(t, r, func(tx object.Tx) error {
		tags.Add(tx, "home")
		tags.Add(tx, "home")
		tags.Remove(tx, "stays")
		tags.Add(tx, "never")
		tags.Remove(tx, "never")
		wantTags(t, tx, "home")
		likes.Add(tx, 2)
		likes.Add(tx, 3)
		if n, err := likes.Value(tx); n != 5 || err != nil {
			t.Errorf("value in the transaction = %d, %v, want 5", n, err)
		}
		wantTags(t, r, "stays")
		return nil
	})
	if len(m.Ops) != 3 {
		t.Errorf("the message has %d ops, want one for each of 3 cells", len(m.Ops))
	}
	wantTags(t, r, "home")
	errStop := errors.New("stop")
	for name, fn := range map[string]func(object.Tx) error{
		"returned": func(tx object.Tx) error { tags.Add(tx, "x"); return errStop },
		"ignored":  func(tx object.Tx) error { tags.Add(tx, "x"); tags.Writer(tx).Fail(errStop); return nil },
	} {
		if m, err := before.Do(before.LastTime()+1, fn); m != nil || !errors.Is(err, errStop) {
			t.Errorf("%s: Do = %v, %v, want the error", name, m, err)
		}
		wantTags(t, before, "stays")
	}
	if m, err := before.Do(before.LastTime()+1, func(tx object.Tx) error { return tags.Remove(tx, "none") }); m != nil || err != nil {
		t.Errorf("a transaction that writes nothing = %v, %v, want no message", m, err)
	}
	if got := before.Delivery().Next().Dot; got != dot(a, 2) {
		t.Errorf("the next dot is %v, want what failed to have taken none", got)
	}
}

func TestWritesThatCannotBe(t *testing.T) {
	r := replica(a)
	write := func(key, kind, element string, o crdt.Op) func(object.Tx) error {
		return func(tx object.Tx) error { tx.Writer(key, kind).Write(element, o); return nil }
	}
	for name, tc := range map[string]struct {
		fn   func(object.Tx) error
		want error
	}{
		"unknown kind":        {write("k", "blob", "", crdt.Op{Put: true}), op.ErrKind},
		"refused by the kind": {write("k", "orset", "?", crdt.Op{Put: true}), crdt.ErrWrite},
		"no key":              {write("", "orset", "\x61x", crdt.Op{Put: true}), op.ErrMessage},
		"unseen dot":          {write("k", "orset", "\x61x", crdt.Op{Seen: merge.DotSet{dot(b, 1)}}), op.ErrMessage},
		"own future":          {write("k", "orset", "\x61x", crdt.Op{Seen: merge.DotSet{dot(a, 1)}}), op.ErrMessage},
		"not a value":         {func(tx object.Tx) error { return object.NewORSet[func()]("f").Add(tx, nil) }, crdt.ErrValue},
		"overflow":            {func(tx object.Tx) error { likes.Add(tx, 1<<63-1); return likes.Add(tx, 1) }, crdt.ErrOverflow},
	} {
		if m, err := r.Do(1, tc.fn); m != nil || !errors.Is(err, tc.want) {
			t.Errorf("%s: Do = %v, %v, want %v", name, m, err, tc.want)
		}
	}
	if !r.Equal(replica(a)) {
		t.Error("something is left")
	}
}

func TestTransactionHasEnded(t *testing.T) {
	r := replica(a)
	var kept object.Tx
	do(t, r, func(tx object.Tx) error { kept = tx; return tags.Add(tx, "home") })
	_, errHas := tags.Has(kept, "home")
	_, errLen := tags.Len(kept)
	for i, err := range []error{errHas, errLen, tags.Add(kept, "x"), kept.Writer("tags", "orset").Write("\x61x", crdt.Op{})} {
		if !errors.Is(err, op.ErrEnded) {
			t.Errorf("use %d of a transaction that has ended = %v, want ErrEnded", i, err)
		}
	}
}

// TestStampsAscend: a write over another one has the later stamp, or Do refuses.
func TestStampsAscend(t *testing.T) {
	x, y := replica(a), replica(b)
	first, err := x.Do(hlc.New(50, 0), func(tx object.Tx) error { return title.Set(tx, "first") })
	if err != nil {
		t.Fatal(err)
	}
	receive(t, y, first)
	_, err = y.Do(hlc.New(50, 0), func(tx object.Tx) error { return title.Set(tx, "second") })
	if e, ok := errors.AsType[*op.StampError](err); !ok || e.After != hlc.New(50, 0) || !errors.Is(err, op.ErrStamp) {
		t.Errorf("an equal stamp = %v, want a StampError", err)
	}
	receive(t, x, do(t, y, func(tx object.Tx) error { return title.Set(tx, "second") }))
	if got, ok, err := title.Get(x); got != "second" || !ok || err != nil {
		t.Errorf("title = %q, %v, %v, want the later write", got, ok, err)
	}
}

// high is a kind of an application's own: a high score.
type high struct{}

func (high) Name() string { return "high" }

func (high) Check(w crdt.Write) error {
	if len(w.Payload) != 8 || !w.Put || len(w.Seen) > 0 {
		return &crdt.WriteError{Kind: "high", Problem: "a score has 8 bytes"}
	}
	return nil
}

func (high) Join(cell []byte, _ merge.Dots, w crdt.Write) ([]byte, error) {
	if slices.Compare(cell, w.Payload) >= 0 {
		return cell, nil
	}
	return w.Payload, nil
}

func (h high) Merge(_ []byte, mine, theirs crdt.Held) ([]byte, error) {
	return h.Join(mine.Cell, nil, crdt.Write{Op: crdt.Op{Payload: theirs.Cell}})
}

// TestKindOfOnesOwn: a kind of an application has the operation form like any
// other; who does not know it refuses its messages and can take them later.
func TestKindOfOnesOwn(t *testing.T) {
	kinds := crdt.Builtin()
	kinds["high"] = high{}
	game := object.NewRef("game", "high")
	score := func(n uint64) func(object.Tx) error {
		return func(tx object.Tx) error {
			return game.Writer(tx).Write("", crdt.Op{Put: true, Payload: binary.BigEndian.AppendUint64(nil, n)})
		}
	}
	x, y := op.NewReplica(op.Config{Self: a, Kinds: kinds}), op.NewReplica(op.Config{Self: b, Kinds: kinds})
	low, top := do(t, x, score(7)), do(t, y, score(300))
	receive(t, x, top)
	receive(t, y, low)
	for _, r := range []*op.Replica{x, y} {
		if cell, err := game.Reader(r).Cell(""); err != nil || binary.BigEndian.Uint64(cell) != 300 {
			t.Errorf("score %x, %v, want 300", cell, err)
		}
	}
	other := replica(c)
	_, err := other.Receive(low)
	if e, ok := errors.AsType[*op.KindError](err); !ok || e.Name != "high" || !errors.Is(err, op.ErrKind) {
		t.Errorf("who does not know the kind: %v, want a KindError", err)
	}
	later := other.Clone(op.Config{Self: origin(4), Kinds: kinds})
	receive(t, later, low, top)
	if !slices.Equal(slices.Collect(later.Objects("g")), []object.Object{game.Object()}) {
		t.Error("the object is not there")
	}
}

// TestClone: a replica that begins with another one's state goes on from there.
func TestClone(t *testing.T) {
	x := replica(a)
	m := do(t, x, add("home"))
	y := x.Clone(op.Config{Self: b})
	receive(t, y, m)
	removed := do(t, y, remove("home"))
	wantTags(t, x, "home")
	wantTags(t, y)
	if want := []merge.Dot{dot(a, 1)}; !slices.Equal(removed.Deps, want) {
		t.Errorf("deps = %v, want %v", removed.Deps, want)
	}
	receive(t, x, removed)
	wantTags(t, x)
	if got := slices.Collect(y.Objects("")); len(got) != 0 {
		t.Errorf("objects = %v, want none without cells", got)
	}
}
