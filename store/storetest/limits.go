package storetest

import (
	"strings"

	"github.com/joinery-crdt/joinery/store"
)

// limits: what is accepted and what is refused.
var limits = []named{
	{"LongestNamesAreAccepted", longestNames},
	{"BeyondTheLimits", beyondLimits},
	{"ValueBeyondTheLimit", valueBeyondLimit},
}

func longestNames(s *subject) error {
	space, key := strings.Repeat("s", store.MaxSpace), strings.Repeat("k", store.MaxKey)
	return first(
		s.put(space, store.Meta, key, "v"),
		s.reopen(),
		s.want(space, store.Meta, key, "v"),
		s.view(func(r store.Reader) error {
			return first(wantKeys(r, space, store.Meta, store.Range{}, key), wantSpaces(r, space))
		}),
	)
}

func beyondLimits(s *subject) error {
	space, key := strings.Repeat("s", store.MaxSpace+1), []byte(strings.Repeat("k", store.MaxKey+1))
	err := s.update(func(tx store.Tx) error {
		_, getKey := tx.Get("a", store.Cells, key)
		_, getSpace := tx.Get(space, store.Cells, nil)
		var scanSpace error
		for _, err := range tx.Scan(space, store.Cells, store.Range{}) {
			scanSpace = err
		}
		return first(
			putAll(tx, "a", store.Cells, "k", "v"),
			wantLimit("Put with a long key", tx.Put("a", store.Cells, key, nil), "key"),
			wantLimit("Put with a long space", tx.Put(space, store.Cells, nil, nil), "space"),
			wantLimit("Delete with a long key", tx.Delete("a", store.Cells, key), "key"),
			wantLimit("Get with a long key", getKey, "key"),
			wantLimit("Get with a long space", getSpace, "space"),
			wantLimit("Scan with a long space", scanSpace, "space"),
			wantKeys(tx, "a", store.Cells, store.Range{Prefix: key}),
			wantKeys(tx, "a", store.Cells, store.Range{After: key}),
		)
	})
	// The refused calls changed nothing, and the rest of the transaction stands.
	return first(err, s.want("a", store.Cells, "k", "v"), s.view(func(r store.Reader) error {
		return first(wantKeys(r, "a", store.Cells, store.Range{}, "k"), wantSpaces(r, "a"))
	}))
}

func valueBeyondLimit(s *subject) error {
	value := make([]byte, store.MaxValue+1)
	err := s.update(func(tx store.Tx) error {
		return first(
			putAll(tx, "a", store.Cells, "k", "v"),
			wantLimit("Put with a long value", tx.Put("a", store.Cells, []byte("k"), value), "value"),
			wantIn(tx, "a", store.Cells, "k", "v"),
		)
	})
	return first(err, s.want("a", store.Cells, "k", "v"))
}
