package op_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt/op"
	"github.com/joinery-crdt/joinery/merge"
)

// A letter is a message of the tests: itself and its header.
type letter struct {
	header op.Header
	text   string
}

// A mailbox is a Delivery that notes what it delivers.
type mailbox struct {
	*op.Delivery[letter]
	got []letter
}

func newMailbox(cfg op.DeliveryConfig[letter]) *mailbox {
	m := &mailbox{}
	cfg.Deliver = func(h op.Header, l letter) error {
		m.got = append(m.got, l)
		return nil
	}
	m.Delivery = op.NewDelivery(cfg)
	return m
}

func (m *mailbox) send() letter {
	l := letter{header: m.Next()}
	l.text = l.header.Dot.String()
	m.Send(l)
	return l
}

func (m *mailbox) receive(l letter) (int, error) { return m.Receive(l.header, l) }

func (m *mailbox) texts() (texts []string) {
	for _, l := range m.got {
		texts = append(texts, l.text)
	}
	return texts
}

// chain returns n letters of a, each of which follows the one before.
func chain(n int) (letters []letter) {
	from := newMailbox(op.DeliveryConfig[letter]{Self: a})
	for range n {
		letters = append(letters, from.send())
	}
	return letters
}

func texts(letters []letter) (texts []string) {
	for _, l := range letters {
		texts = append(texts, l.text)
	}
	return texts
}

func TestDeliveryIsFIFO(t *testing.T) {
	letters := chain(3)
	to := newMailbox(op.DeliveryConfig[letter]{Self: b})
	for i, want := range []int{2: 3} {
		if n, err := to.receive(letters[2-i]); n != want || err != nil {
			t.Errorf("receiving letter %d delivers %d, %v, want %d", 2-i, n, err, want)
		}
	}
	if got := to.texts(); !slices.Equal(got, texts(letters)) {
		t.Errorf("delivered %v, want %v", got, texts(letters))
	}
	for _, l := range letters {
		if n, err := to.receive(l); n != 0 || err != nil {
			t.Errorf("again: %d, %v, want 0", n, err)
		}
	}
	if to.Held() != 0 || len(to.Missing()) != 0 {
		t.Errorf("%d held, missing %v", to.Held(), to.Missing())
	}
}

// TestDeliveryIsCausal sends an answer ahead of its question.
func TestDeliveryIsCausal(t *testing.T) {
	from, over := newMailbox(op.DeliveryConfig[letter]{Self: a}), newMailbox(op.DeliveryConfig[letter]{Self: b})
	question := from.send()
	over.receive(question)
	answer := over.send()
	to := newMailbox(op.DeliveryConfig[letter]{Self: c})
	if n, err := to.receive(answer); n != 0 || err != nil || to.Held() != 1 {
		t.Errorf("the answer: %d, %v, %d held, want it to wait", n, err, to.Held())
	}
	if got, want := to.Missing(), []op.Gap{{Origin: a, First: 1, Last: 1}}; !slices.Equal(got, want) {
		t.Errorf("missing %v, want %v", got, want)
	}
	if n, err := to.receive(question); n != 2 || err != nil {
		t.Errorf("the question: %d, %v, want both", n, err)
	}
	if got, want := to.texts(), []string{question.text, answer.text}; !slices.Equal(got, want) {
		t.Errorf("delivered %v, want %v", got, want)
	}
}

// TestHeaderNamesTips: what a tip depends on goes without saying.
func TestHeaderNamesTips(t *testing.T) {
	x, y, z := newMailbox(op.DeliveryConfig[letter]{Self: a}), newMailbox(op.DeliveryConfig[letter]{Self: b}), newMailbox(op.DeliveryConfig[letter]{Self: c})
	first := x.send()
	y.receive(first)
	second := y.send()
	z.receive(first)
	z.receive(second)
	if got, want := z.send().header.Deps, []merge.Dot{second.header.Dot}; !slices.Equal(got, want) {
		t.Errorf("deps = %v, want %v", got, want)
	}
	if got := z.send().header.Deps; len(got) != 0 {
		t.Errorf("the next one's deps = %v, want none but its predecessor", got)
	}
}

// TestFullHoldBack: what finds no room is refused, listed, and taken when it is
// asked for again. What is in order flows all the time.
func TestFullHoldBack(t *testing.T) {
	letters := chain(10)
	to := newMailbox(op.DeliveryConfig[letter]{Self: b, MaxHeld: 3})
	for i := 9; i > 0; i-- {
		_, err := to.receive(letters[i])
		full, ok := errors.AsType[*op.FullError](err)
		if ok != (i < 7) || ok != errors.Is(err, op.ErrFull) {
			t.Errorf("letter %d: %v", i, err)
		}
		if ok && (full.Dot != letters[i].header.Dot || full.Missing != letters[i-1].header.Dot) {
			t.Errorf("letter %d: %+v", i, full)
		}
	}
	for n := 7; ; n-- {
		want := []op.Gap{{Origin: a, First: 8 - uint64(n), Last: 7}}
		if n == 0 {
			want = nil
		}
		if got := to.Missing(); !slices.Equal(got, want) {
			t.Errorf("missing %v, want %v", got, want)
		}
		if n == 0 {
			break
		}
		if _, err := to.receive(letters[7-n]); err != nil {
			t.Fatal(err)
		}
	}
	if got := to.texts(); !slices.Equal(got, texts(letters)) {
		t.Errorf("delivered %v, want all in order", got)
	}
}

// TestRefusedIsMissing: a refused message is asked for even when nothing that
// waits depends on it.
func TestRefusedIsMissing(t *testing.T) {
	to := newMailbox(op.DeliveryConfig[letter]{Self: b, MaxHeldSize: 1})
	late := letter{header: op.Header{Dot: dot(c, 1), Deps: []merge.Dot{dot(a, 1)}}}
	if _, err := to.receive(late); !errors.Is(err, op.ErrFull) {
		t.Fatalf("a message larger than the room = %v, want ErrFull", err)
	}
	to.receive(chain(1)[0])
	if got, want := to.Missing(), []op.Gap{{Origin: c, First: 1, Last: 1}}; !slices.Equal(got, want) {
		t.Errorf("missing %v, want %v", got, want)
	}
	if n, err := to.receive(late); n != 1 || err != nil || len(to.Missing()) != 0 {
		t.Errorf("asked for again: %d, %v, missing %v", n, err, to.Missing())
	}
}

// TestFarSeq and false dependencies cost constant room, and hold up nobody else.
func TestFarSeq(t *testing.T) {
	to := newMailbox(op.DeliveryConfig[letter]{Self: b, MaxHeld: 2})
	for i, h := range []op.Header{
		{Dot: dot(c, merge.MaxSeq)},
		{Dot: dot(origin(9), 1), Deps: []merge.Dot{dot(c, merge.MaxSeq-1)}},
		{Dot: dot(origin(8), 1), Deps: []merge.Dot{dot(origin(7), 1<<59)}},
	} {
		if _, err := to.receive(letter{header: h}); errors.Is(err, op.ErrFull) != (i == 2) {
			t.Errorf("letter %d: %v", i, err)
		}
	}
	for i, l := range chain(50) {
		if n, err := to.receive(l); n != 1 || err != nil {
			t.Fatalf("letter %d in order: %d, %v", i, n, err)
		}
	}
	want := []op.Gap{{origin(3), 1, merge.MaxSeq - 1}, {origin(7), 1, 1 << 59}, {origin(8), 1, 1}}
	if got := to.Missing(); !slices.Equal(got, want) {
		t.Errorf("missing %v, want %v", got, want)
	}
}

func TestRefusedNotesAreBounded(t *testing.T) {
	to := newMailbox(op.DeliveryConfig[letter]{Self: b, MaxHeld: 4})
	for i := range 10000 {
		to.receive(letter{header: op.Header{Dot: merge.Dot{Origin: merge.Origin{byte(i), byte(i >> 8), 1}, Seq: 9}}})
	}
	if got := len(to.Missing()); got != 4+4096 {
		t.Errorf("missing names %d origins, want the 4 that wait and 4096 refused ones", got)
	}
}

// TestDeliverFails: a message whose delivery fails is not delivered, and what
// waits for it goes on waiting.
func TestDeliverFails(t *testing.T) {
	var got []uint64
	broken := true
	to := op.NewDelivery(op.DeliveryConfig[int]{Self: b, Deliver: func(h op.Header, _ int) error {
		if broken && h.Dot.Seq == 2 {
			return errors.New("disk full")
		}
		got = append(got, h.Dot.Seq)
		return nil
	}})
	for _, seq := range []uint64{3, 2} {
		to.Receive(op.Header{Dot: dot(a, seq)}, 0)
	}
	if n, err := to.Receive(op.Header{Dot: dot(a, 1)}, 0); n != 1 || err == nil {
		t.Errorf("Receive = %d, %v, want 1 and the error", n, err)
	}
	if want := []op.Gap{{a, 2, 2}}; !slices.Equal(to.Missing(), want) || to.Held() != 1 {
		t.Errorf("missing %v, %d held, want %v and 1", to.Missing(), to.Held(), want)
	}
	broken = false
	if n, err := to.Receive(op.Header{Dot: dot(a, 2)}, 0); n != 2 || err != nil || !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("again: %d, %v, delivered %v", n, err, got)
	}
}

func TestHeadersThatCannotBe(t *testing.T) {
	to := newMailbox(op.DeliveryConfig[letter]{Self: b})
	for name, h := range map[string]op.Header{
		"no number":          {Dot: dot(a, 0)},
		"beyond the limit":   {Dot: dot(a, merge.MaxSeq+1)},
		"dep on itself":      {Dot: dot(a, 1), Deps: []merge.Dot{dot(a, 1)}},
		"dep on its future":  {Dot: dot(a, 1), Deps: []merge.Dot{dot(a, 2)}},
		"dep without number": {Dot: dot(a, 1), Deps: []merge.Dot{dot(c, 0)}},
		"dep beyond limit":   {Dot: dot(a, 1), Deps: []merge.Dot{dot(c, merge.MaxSeq+1)}},
	} {
		n, err := to.receive(letter{header: h})
		if e, ok := errors.AsType[*op.MessageError](err); n != 0 || !ok || e.Dot != h.Dot || !errors.Is(err, op.ErrMessage) {
			t.Errorf("%s: %d, %v, want a MessageError", name, n, err)
		}
	}
	if got := to.Vector(); got.Len() != 0 || to.Held() != 0 {
		t.Errorf("delivered %v, %d held, want nothing", got.Sorted(), to.Held())
	}
}

// TestOwnOriginIsNotTaken: messages that come back are known; newer ones mean
// that there are two of this replica.
func TestOwnOriginIsNotTaken(t *testing.T) {
	letters := chain(2)
	to := newMailbox(op.DeliveryConfig[letter]{Self: a})
	to.send()
	if n, err := to.receive(letters[0]); n != 0 || err != nil {
		t.Errorf("a message that comes back: %d, %v", n, err)
	}
	_, err := to.receive(letters[1])
	if e, ok := errors.AsType[*op.OwnError](err); !ok || e.Dot != dot(a, 2) || !errors.Is(err, op.ErrOwn) {
		t.Errorf("a newer one = %v, want an OwnError", err)
	}
}

// TestExactlyOnceCausalDelivery runs random conversations over a transport that
// loses, repeats and reorders, and repairs what is missing; everybody must get
// everything once, after its causes.
func TestExactlyOnceCausalDelivery(t *testing.T) {
	const boxes, steps = 4, 200
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 0))
		var all []*mailbox
		for i := range boxes {
			all = append(all, newMailbox(op.DeliveryConfig[letter]{Self: origin(i), MaxHeld: 1 + r.IntN(40)}))
		}
		sent, wires := make(map[merge.Dot]letter), make([][]letter, boxes)
		vectors := make(map[merge.Dot]*merge.VersionVector) // what each letter's author had
		for range steps {
			i := r.IntN(boxes)
			if r.IntN(3) == 0 {
				had := all[i].Vector()
				l := all[i].send()
				sent[l.header.Dot], vectors[l.header.Dot] = l, had
				for j := range wires {
					for n := r.IntN(3); j != i && n > 0; n-- {
						wires[j] = append(wires[j], l)
					}
				}
				continue
			}
			if n := len(wires[i]); n > 0 {
				k := r.IntN(n)
				all[i].receive(wires[i][k])
				wires[i] = slices.Delete(wires[i], k, k+1)
			}
		}
		repair(t, all, sent)
		for i, m := range all {
			checkCausal(t, fmt.Sprintf("seed %d, box %d", seed, i), m, sent, vectors)
		}
	}
}

// repair asks again until nothing is missing.
func repair(t *testing.T, all []*mailbox, sent map[merge.Dot]letter) {
	t.Helper()
	for _, m := range all {
		for _, other := range all { // the last words of each, which nobody misses yet
			last := other.Vector().Get(other.Self())
			if l, ok := sent[dot(other.Self(), last)]; ok {
				m.receive(l)
			}
		}
		for rounds := 0; len(m.Missing()) > 0; rounds++ {
			if rounds > len(sent) {
				t.Fatalf("%v is still missing", m.Missing())
			}
			for _, gap := range m.Missing() {
				for seq := gap.First; seq <= gap.Last; seq++ {
					m.receive(sent[dot(gap.Origin, seq)])
				}
			}
		}
	}
}

func checkCausal(t *testing.T, name string, m *mailbox, sent map[merge.Dot]letter, vectors map[merge.Dot]*merge.VersionVector) {
	t.Helper()
	seen := &merge.VersionVector{}
	for seq := range m.Vector().Get(m.Self()) { // its own were there when they were sent
		seen.Raise(dot(m.Self(), seq+1))
	}
	for _, l := range m.got {
		d := l.header.Dot
		if seen.Contains(d) || seen.Get(d.Origin)+1 != d.Seq {
			t.Fatalf("%s: %v delivered twice or out of order", name, d)
		}
		if !seen.Covers(vectors[d]) {
			t.Fatalf("%s: %v delivered before what its author had seen", name, d)
		}
		seen.Raise(d)
	}
	n := uint64(0)
	for head := range seen.Heads() {
		n += head.Seq
	}
	if n != uint64(len(sent)) || m.Held() != 0 {
		t.Fatalf("%s: has %d of %d messages, %d held", name, n, len(sent), m.Held())
	}
}
