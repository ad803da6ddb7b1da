package mergetest

import "github.com/joinery-crdt/joinery/merge"

// Chain returns a [*LawError] unless the three values keep the laws of
// [merge.Chain]: Compare answers -1, 0 or +1, is a total order (Total), is 0
// exactly on equal values, and Merge keeps the higher side (Consistent). It does
// not repeat what [Laws] checks.
func Chain[L merge.Chain[L]](a, b, c L) error {
	if err := inAllOrders(total[L], a, b, c); err != nil {
		return err
	}
	return inAllOrders(consistent[L], a, b, c)
}

func total[L merge.Chain[L]](a, b, c L) error {
	ab, ba, bc, ac := a.Compare(b), b.Compare(a), b.Compare(c), a.Compare(c)
	switch {
	case a.Compare(a) != 0:
		return breach[L](Total, "a", a, "a.Compare(a)", a.Compare(a))
	case ab < -1 || ab > 1 || ab != -ba:
		return breach[L](Total, "a", a, "b", b, "a.Compare(b)", ab, "b.Compare(a)", ba)
	case ab <= 0 && bc <= 0 && ac != min(ab, bc):
		return breach[L](Total, "a", a, "b", b, "c", c, "a.Compare(b)", ab, "b.Compare(c)", bc, "a.Compare(c)", ac)
	}
	return nil
}

func consistent[L merge.Chain[L]](a, b, _ L) error {
	order := a.Compare(b)
	if (order == 0) != a.Equal(b) {
		return breach[L](Consistent, "a", a, "b", b, "a.Compare(b)", order, "a.Equal(b)", a.Equal(b))
	}
	higher := a
	if order < 0 {
		higher = b
	}
	if got := join(a, b); !got.Equal(higher) {
		return breach[L](Consistent, "a", a, "b", b, "a.Compare(b)", order, "a ⊔ b", got)
	}
	return nil
}
