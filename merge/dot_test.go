package merge_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
)

const originText = "0190f3c2-7b1a-4c5d-8e6f-00112233aabb"

func TestOriginText(t *testing.T) {
	o, err := merge.ParseOrigin(originText)
	if err != nil {
		t.Fatal(err)
	}
	if got := o.String(); got != originText {
		t.Errorf("String() = %s, want %s", got, originText)
	}
	text, err := o.MarshalText()
	if err != nil || string(text) != originText {
		t.Errorf("MarshalText() = %s, %v, want %s", text, err, originText)
	}
	var back merge.Origin
	if err := back.UnmarshalText(text); err != nil || back != o {
		t.Errorf("UnmarshalText(%s) = %v, %v", text, back, err)
	}
}

func TestParseOriginRefusesOtherForms(t *testing.T) {
	for _, s := range []string{
		"", "x", strings.ToUpper(originText), "urn:uuid:" + originText, "{" + originText + "}",
		strings.ReplaceAll(originText, "-", ""), originText + " ", strings.Repeat("0", 1<<10),
	} {
		o, err := merge.ParseOrigin(s)
		if err == nil || o != (merge.Origin{}) {
			t.Errorf("ParseOrigin(%.80q) = %v, %v, want an error", s, o, err)
		} else if len(err.Error()) > 200 {
			t.Errorf("ParseOrigin of %d bytes gives an error of %d bytes", len(s), len(err.Error()))
		}
	}
}

func TestDotOrder(t *testing.T) {
	want := []merge.Dot{dot(1, 1), dot(1, 2), dot(1, 10), dot(2, 1), {Origin: merge.Origin{0: 1}, Seq: 1}}
	got := []merge.Dot{want[4], want[2], want[0], want[3], want[1]}
	slices.SortFunc(got, merge.Dot.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("sorted dots = %v, want %v", got, want)
	}
	if c := want[0].Compare(want[0]); c != 0 {
		t.Errorf("d.Compare(d) = %d", c)
	}
}

func TestDotString(t *testing.T) {
	if got, want := (merge.Dot{Origin: merge.Origin{15: 255}, Seq: 7}).String(), "00000000-0000-0000-0000-0000000000ff/7"; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
}

func TestDotSet(t *testing.T) {
	s := merge.DotSetOf(dot(2, 1), dot(1, 3), dot(2, 1), dot(1, 1))
	if want := (merge.DotSet{dot(1, 1), dot(1, 3), dot(2, 1)}); !slices.Equal(s, want) {
		t.Errorf("DotSetOf = %v, want %v", s, want)
	}
	for d, want := range map[merge.Dot]bool{dot(1, 1): true, dot(1, 2): false, dot(1, 3): true, dot(2, 1): true, dot(3, 1): false} {
		if got := s.Contains(d); got != want {
			t.Errorf("Contains(%v) = %t, want %t", d, got, want)
		}
	}
	if one := merge.DotSetOf(dot(1, 1)); !one.Contains(dot(1, 1)) || one.Contains(dot(1, 2)) {
		t.Errorf("a set of one dot contains another than its own")
	}
	if merge.DotSetOf().Contains(dot(1, 1)) {
		t.Error("the empty set contains a dot")
	}
}
