package sync_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// TestDecoderBombs claims more ops, dots and table entries than a change may
// have, with enough bytes behind the claim: nothing is made room for.
func TestDecoderBombs(t *testing.T) {
	c, err := crdtsync.NewChange(dotOf(1, 1), 1, crdtsync.Hash{}, nil, []crdtsync.CellOp{put(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	head := c.Bytes()[:26] // version, time, origin and number
	tail := make([]byte, 8<<20)
	count := func(n uint64) []byte { return binary.AppendUvarint(nil, n) }
	for name, b := range map[string][]byte{
		"objects":      slices.Concat(head, count(0), count(crdtsync.MaxOps+1), tail),
		"elements":     slices.Concat(head, count(0), count(0), count(crdtsync.MaxOps+1), tail),
		"dependencies": slices.Concat(head, count(0), count(0), count(0), count(crdtsync.MaxDots+1), tail),
		"ops":          slices.Concat(head, count(0), count(0), count(0), count(0), count(crdtsync.MaxOps+1), tail),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := crdtsync.DecodeChange(b)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 || !errors.Is(err, merge.ErrFormat) {
			t.Errorf("%s: took %d bytes of memory, %v", name, got, err)
		}
	}
}

// TestChangeCounts refuses to write what no reader takes.
func TestChangeCounts(t *testing.T) {
	ops := make([]crdtsync.CellOp, crdtsync.MaxOps+1)
	for i := range ops {
		ops[i] = put(t, i)
	}
	var dots merge.DotSet
	for i := range crdtsync.MaxDots + 1 {
		dots = append(dots, dotOf(1, uint64(i)+1))
	}
	many := put(t, 1)
	many.Seen = dots
	for what, ops := range map[string][]crdtsync.CellOp{"cells": ops, "dots": {many}} {
		_, err := crdtsync.NewChange(dotOf(2, 1), 1, crdtsync.Hash{}, nil, ops)
		if e, ok := errors.AsType[*crdtsync.TooLargeError](err); !ok || e.What != what || e.Size != e.Limit+1 || !strings.Contains(fmt.Sprint(err), "split") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
