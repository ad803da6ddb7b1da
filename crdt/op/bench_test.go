package op_test

import (
	"fmt"
	"testing"

	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/crdt/op"
)

// adds returns a replica whose set has n elements, and the messages of
// more elements, made one by one.
func adds(tb testing.TB, n, more int) (*op.Replica, []*op.Message) {
	source := replica(a)
	for len := 0; len < n; {
		do(tb, source, func(tx object.Tx) error {
			for i := len; i < min(n, len+1000); i++ {
				if err := tags.Add(tx, fmt.Sprint("element ", i)); err != nil {
					return err
				}
			}
			return nil
		})
		len = min(n, len+1000)
	}
	at := source.Clone(op.Config{Self: b})
	messages := make([]*op.Message, more)
	for i := range messages {
		messages[i] = do(tb, source, add(fmt.Sprint("more ", i)))
	}
	return at, messages
}

// BenchmarkEffect is the effect of one message with one add in a set of n
// elements: it must not depend on n.
func BenchmarkEffect(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint("n=", n), func(b *testing.B) {
			const batch = 10_000
			start, messages := adds(b, n, batch)
			b.ReportAllocs()
			at, i := start.Clone(op.Config{Self: start.Delivery().Self()}), 0
			for b.Loop() {
				if i == batch {
					b.StopTimer()
					at, i = start.Clone(op.Config{Self: start.Delivery().Self()}), 0
					b.StartTimer()
				}
				if _, err := at.Receive(messages[i]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// BenchmarkDecode reads a message of one add, as it comes from a transport.
func BenchmarkDecode(b *testing.B) {
	_, messages := adds(b, 0, 1)
	raw, err := messages[0].MarshalBinary()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(raw); err != nil {
			b.Fatal(err)
		}
	}
}
