package sync_test

import (
	"fmt"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// tell carries the news of one roster to another, as a link does.
func tell(from, to *crdtsync.Roster, a, b int, told uint64) uint64 {
	list, upTo := from.News(originOf(b), told, crdtsync.MaxMembers)
	for _, m := range list {
		to.Learn(originOf(a), m, nil)
	}
	return upTo
}

// TestRosterTellsOwnNews: what is learnt from a node about a member does not
// keep from it what it does not know of the same member.
func TestRosterTellsOwnNews(t *testing.T) {
	a, b := crdtsync.NewRoster(originOf(1)), crdtsync.NewRoster(originOf(2))
	a.Has(originOf(3), []merge.Dot{dotOf(3, 1)})
	told := tell(a, b, 1, 2, 0)
	if !b.Turn(originOf(3), true) || b.Turn(originOf(4), true) {
		t.Fatal("Turn does not know whom it knows")
	}
	a.Has(originOf(3), []merge.Dot{dotOf(3, 2)})
	tell(a, b, 1, 2, told) // before b tells
	back := tell(b, a, 2, 1, 0)
	if m := a.Member(originOf(3)); !m.Retired() {
		t.Error("that the member is retired was not told")
	}
	if list, _ := b.News(originOf(1), back, crdtsync.MaxMembers); len(list) != 0 {
		t.Errorf("there is more news: %+v", list)
	}
	a.Turn(originOf(3), false)
	tell(a, b, 1, 2, 0)
	tell(b, a, 2, 1, 0)
	if a.Member(originOf(3)).Retired() || b.Member(originOf(3)).Retired() {
		t.Error("who was taken back is retired again")
	}
}

// TestRosterTellsAll tells of more members than fit into a frame.
func TestRosterTellsAll(t *testing.T) {
	const count = 3*crdtsync.MaxMembers + 5
	a, b := crdtsync.NewRoster(originOf(1)), crdtsync.NewRoster(originOf(2))
	for i := range count {
		a.Heard(originOf(10+i), fmt.Sprint("member ", i), false, uint64(i))
	}
	told, frames := uint64(0), 0
	for {
		list, upTo := a.News(originOf(2), told, crdtsync.MaxMembers)
		if len(list) == 0 {
			break
		}
		if len(list) > crdtsync.MaxMembers {
			t.Fatalf("%d members at once", len(list))
		}
		for _, m := range list {
			b.Learn(originOf(1), m, nil)
		}
		told, frames = upTo, frames+1
	}
	if got := len(b.Members()); got != count || frames != 4 {
		t.Errorf("%d members in %d frames, want %d in 4", got, frames, count)
	}
	if list, _ := b.News(originOf(1), 0, crdtsync.MaxMembers); len(list) != 0 {
		t.Errorf("what was learnt is told back: %d members", len(list))
	}
}

// TestStable: what all have, whatever else some have.
func TestStable(t *testing.T) {
	own := merge.VectorOf(dotOf(1, 5), dotOf(2, 7), dotOf(3, 1))
	a, b := merge.VectorOf(dotOf(1, 9), dotOf(2, 3)), merge.VectorOf(dotOf(1, 4), dotOf(2, 7), dotOf(3, 1))
	if got, want := crdtsync.Stable(own, a, b), merge.VectorOf(dotOf(1, 4), dotOf(2, 3)); !got.Equal(want) {
		t.Errorf("Stable = %v, want %v", got.Sorted(), want.Sorted())
	}
	if got := crdtsync.Stable(own); !got.Equal(own) {
		t.Errorf("Stable of nobody else = %v, want all", got.Sorted())
	}
}

// TestRosterTellsWhatItKnewBefore: what a node knew before it was restarted is news
// to whom it tells nothing yet.
func TestRosterTellsWhatItKnewBefore(t *testing.T) {
	r := crdtsync.NewRoster(originOf(1), &crdtsync.Member{Origin: originOf(2)}, &crdtsync.Member{Origin: originOf(3)})
	list, upTo := r.News(originOf(2), 0, crdtsync.MaxMembers)
	if len(list) != 1 || list[0].Origin != originOf(3) {
		t.Errorf("it tells of %v, want the one that is not spoken to", list)
	}
	if list, _ := r.News(originOf(2), upTo, crdtsync.MaxMembers); len(list) != 0 {
		t.Errorf("it tells again of %v", list)
	}
}
