package main

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// measureStorm restarts a hub to which devices are connected.
func measureStorm() []row {
	disk := new(memstore.Disk)
	var current atomic.Pointer[hub]
	open := func(rate int) {
		st, err := memstore.Open(disk)
		check(err)
		current.Store(openHub(node.Config{Store: st, MaxHandshakes: rate}))
	}
	open(100_000)
	ids := node.ORSet[int]("ids")
	check(current.Load().node.Space(space).Update(context.Background(), func(tx *node.Tx) error { return ids.Add(tx, 1) }))
	address, stop := serve(func(w http.ResponseWriter, r *http.Request) { current.Load().accept(w, r) })
	defer stop()
	ends := start("device", address, *devices)
	defer ends.stop()
	await("devices", func() bool { return connected(current.Load().node) == *devices })
	time.Sleep(2 * time.Second)
	old := current.Load().node
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	check(old.Drain(ctx))
	check(old.Close())
	open(*rate)
	began, most, last := time.Now(), 0, 0
	await("devices back", func() bool {
		time.Sleep(time.Second)
		now := connected(current.Load().node)
		most, last = max(most, now-last), now
		return now == *devices
	})
	took := time.Since(began)
	fmt.Printf("storm   %d devices back %.0f s after a restart, at most %d in a second, where %d are let in (and as many at once)\n",
		*devices, took.Seconds(), most, *rate)
	return []row{{
		fmt.Sprintf("reconnect storm of %d devices", *devices), fmt.Sprintf("all back in %.0f s, at most %d in a second", took.Seconds(), most),
		fmt.Sprintf("at most %d a second, and %d at once", *rate, *rate), most <= 2**rate,
	}}
}
