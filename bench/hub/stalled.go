package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// maxStalled is how many bytes a reader that has stopped reading may cost, while
// many times as much is written.
const maxStalled = 4096

// measureStalled writes while readers read nothing, and while there are none.
func measureStalled() []row {
	alone, crowded := growth(0), growth(*stalled)
	each := (crowded - alone) / int64(*stalled)
	return []row{{
		fmt.Sprintf("%d readers stalled while %d changes are written", *stalled, *written),
		fmt.Sprintf("memory grows by %.1f MB, without readers by %.1f MB: %d bytes for each", float64(crowded)/1e6, float64(alone)/1e6, each),
		fmt.Sprintf("at most %d bytes for each", maxStalled), each <= maxStalled,
	}}
}

// growth returns by how much heap and stacks grow.
func growth(readers int) int64 {
	h := openHub(node.Config{Store: memstore.New(), MaxHandshakes: 100_000, MaxInitialSyncs: max(1, readers), Heartbeat: time.Hour})
	address, stop := serve(h.accept)
	defer stop()
	ends := start("stall", address, readers)
	defer ends.stop()
	ends.await()
	await("connections", func() bool { return connected(h.node) == readers })
	h.write(*written) // the sockets fill, and all readers are stalled
	time.Sleep(time.Second)
	before := memory().held()
	h.write(*written)
	after := memory().held()
	fmt.Printf("stalled %4d readers: %.1f MB before %d changes were written, %.1f MB after; %d frames taken\n",
		readers, float64(before)/1e6, *written, float64(after)/1e6, h.sent.frames.Load())
	check(h.node.Close())
	return after - before
}

// write makes so many changes of 1 KB each.
func (h *hub) write(changes int) {
	value := strings.Repeat("x", 1000)
	notes := node.LWW[string]("notes")
	for i := range changes {
		check(h.node.Space(space).Update(context.Background(), func(tx *node.Tx) error { return notes.Set(tx, fmt.Sprint(i)+value) }))
	}
}
