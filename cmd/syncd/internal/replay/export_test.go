package replay

import "context"

// ResultsOf replays a history and returns what a node that saw all ends with.
func ResultsOf(ctx context.Context, h *History, setup Cast) (*Results, error) {
	n, err := Replay(ctx, h, setup)
	if err != nil {
		return nil, err
	}
	defer n.Close()
	return collect(ctx, n.Space(SpaceName), h)
}

// Equal returns an error that is [ErrDiffers] unless both are the same.
func (r *Results) Equal(want *Results) error { return r.equal(want) }

// HashOf is the hash of sorted lines that results use.
var HashOf = hash

// SameTable compares a table of two stores.
var SameTable = sameTable
