package main

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// maxIdle is what a connection that does nothing may cost a node, as a multiple
// of what it costs the library.
const maxIdle = 1.4

func measureIdle() []row {
	least := holdRaw("raw, read apart", &raws{apart: true})
	raw := holdRaw("raw", &raws{})
	h := openHub(node.Config{Store: memstore.New(), MaxHandshakes: 100_000})
	ours := holdIdle("node", "peer", h.accept, func() bool { return connected(h.node) == *idle })
	check(h.node.Close())
	ratio := float64(ours) / float64(raw)
	return []row{{
		fmt.Sprintf("memory of %d idle connections (goal 17)", *idle),
		fmt.Sprintf("%.1f KB each, raw %.1f KB: %.2fx (raw without the HTTP server's share %.1f KB)",
			float64(ours)/1e3, float64(raw)/1e3, ratio, float64(least)/1e3),
		fmt.Sprintf("published; at most %.1fx", maxIdle), ratio <= maxIdle,
	}}
}

func saveHeap(name string) {
	if *profile == "" {
		return
	}
	out, err := os.Create(*profile + ".heap." + name)
	check(err)
	check(pprof.Lookup("heap").WriteTo(out, 0))
	check(out.Close())
}

func holdRaw(name string, bare *raws) (each int64) {
	defer bare.forget()
	return holdIdle(name, "raw", bare.accept, func() bool { return bare.len() == *idle })
}

// holdIdle returns how many bytes each of many connections takes.
func holdIdle(name, role string, h http.HandlerFunc, until func() bool) (each int64) {
	before := memory()
	routines := runtime.NumGoroutine()
	address, stop := serve(h)
	ends := start(role, address, *idle)
	defer func() {
		ends.stop()
		stop()
		await("end of the connections", func() bool { return runtime.NumGoroutine() <= routines+10 })
	}()
	ends.await()
	await("connections", until)
	time.Sleep(5 * time.Second) // some heartbeats
	per := memory().each(before, *idle)
	fmt.Printf("idle    %-15s %5d connections, each with %5d bytes of heap and %5d of stacks in %.1f goroutines; %d resident\n",
		name, *idle, per.heap, per.stacks, float64(runtime.NumGoroutine()-routines)/float64(*idle), per.resident)
	saveHeap(name)
	return per.held()
}
