package main

import (
	"fmt"
	"net/http"
	"runtime"
	"time"

	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// maxIdle is what a connection that does nothing may cost a node, as a multiple
// of what it costs the library.
const maxIdle = 1.4

func measureIdle() []row {
	bare := &raws{}
	raw := holdIdle("raw", "raw", bare.accept, func() bool { return bare.len() == *idle })
	h := openHub(node.Config{Store: memstore.New(), MaxHandshakes: 100_000})
	ours := holdIdle("node", "peer", h.accept, func() bool { return connected(h.node) == *idle })
	check(h.node.Close())
	ratio := float64(ours) / float64(raw)
	return []row{{
		fmt.Sprintf("memory of %d idle connections (goal 17)", *idle),
		fmt.Sprintf("%.1f KB each, raw %.1f KB: %.2fx", float64(ours)/1e3, float64(raw)/1e3, ratio),
		fmt.Sprintf("published; at most %.1fx", maxIdle), ratio <= maxIdle,
	}}
}

// holdIdle returns how many bytes each of many connections takes.
func holdIdle(name, role string, h http.HandlerFunc, until func() bool) (each int64) {
	heldBefore, residentBefore := memory()
	routines := runtime.NumGoroutine()
	address, stop := serve(h)
	defer stop()
	ends := start(role, address, *idle)
	defer ends.stop()
	ends.await()
	await("connections", until)
	time.Sleep(5 * time.Second) // some heartbeats
	held, resident := memory()
	n := int64(*idle)
	fmt.Printf("idle    %-5s %5d connections  %6d bytes each in heap and stacks  %6d resident  %.1f goroutines\n",
		name, n, (held-heldBefore)/n, (resident-residentBefore)/n, float64(runtime.NumGoroutine()-routines)/float64(n))
	return (held - heldBefore) / n
}
