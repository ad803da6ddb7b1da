package killtest_test

import (
	"errors"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/killtest"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/crdt"
)

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		why                   string
		acked                 int
		unknown, survived     bool
		one, two, count, last int
		lost                  bool
	}{
		{"nothing", 0, false, false, 0, 0, 0, 0, false},
		{"all acknowledged", 3, false, false, 3, 3, 3, 3, false},
		{"the one cut off is gone", 3, true, false, 3, 3, 3, 3, false},
		{"the one cut off is there", 3, true, false, 4, 4, 4, 4, false},
		{"the one cut off is still there", 3, true, true, 4, 4, 4, 4, false},
		{"the one cut off was there", 3, true, true, 3, 3, 3, 3, true},
		{"an acknowledged one is gone", 3, true, false, 2, 2, 2, 2, true},
		{"one nobody made", 3, false, false, 4, 4, 4, 4, true},
		{"two nobody made", 3, true, false, 5, 5, 5, 5, true},
		{"a set lags", 3, true, false, 4, 3, 4, 4, true},
		{"a count lags", 3, true, false, 4, 4, 3, 4, true},
		{"a count repeats", 3, true, false, 3, 3, 4, 3, true},
		{"a register lags", 3, true, false, 4, 4, 4, 3, true},
	} {
		err := killtest.Judge(c.acked, c.unknown, c.survived, c.one, c.two, c.count, c.last)
		if lost := errors.Is(err, killtest.ErrLost); lost != c.lost || err != nil && !lost {
			t.Errorf("%s: %v, want an error: %t", c.why, err, c.lost)
		}
	}
}

func TestElementsWithoutGaps(t *testing.T) {
	of := func(numbers ...int) *v1.Object {
		o := &v1.Object{}
		for _, n := range numbers {
			b, err := crdt.EncodeValue(n)
			if err != nil {
				t.Fatal(err)
			}
			o.Elements = append(o.Elements, jsonvalue.Value(b))
		}
		return o
	}
	if n, err := killtest.Elements(of(2, 1, 3)); n != 3 || err != nil {
		t.Errorf("of 1, 2 and 3: %d, %v", n, err)
	}
	if _, err := killtest.Elements(of(1, 3)); !errors.Is(err, killtest.ErrLost) {
		t.Errorf("without 2: %v, want ErrLost", err)
	}
}
