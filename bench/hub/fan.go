package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// What goal 16 speaks of.
const (
	changesPerFrame = 64
	leastRatio      = 0.9
	leastDeliveries = 1.5e6 // changes per second
)

// lag is how many frames a connection may be behind what is new.
const lag = 8

// A fan is what it took to send changes to all sockets.
type fan struct {
	cpu, wall                        time.Duration
	frames, changes, control, writes int64
}

// measured runs send, and fills in what it took besides.
func measured(name string, last bool, send func(f *fan)) (f fan) {
	if *profile != "" && last {
		out, err := os.Create(*profile + "." + name)
		check(err)
		check(pprof.StartCPUProfile(out))
		defer pprof.StopCPUProfile()
	}
	began, before, calls := time.Now(), cpu(), writes()
	send(&f)
	f.cpu, f.wall, f.writes = cpu()-before, time.Since(began), writes()-calls
	return f
}

func (f *fan) print(name string) {
	n := float64(f.frames)
	fmt.Printf("fan     %-5s %6.2f us CPU a frame, %.2f M changes/s; %.1f changes, %.2f writes and %.4f other frames to a frame\n", name,
		f.cpu.Seconds()/n*1e6, f.rate()/1e6, float64(f.changes)/n, float64(f.writes)/n, float64(f.control)/n)
}

// rate returns how many changes are delivered in a second.
func (f *fan) rate() float64 { return float64(f.changes) / f.wall.Seconds() }

// perChange returns what one change to one socket takes.
func (f *fan) perChange() time.Duration {
	return f.cpu * time.Duration(*sockets**frames*changesPerFrame) / time.Duration(f.changes)
}

// measureFan sends the same frames to all sockets, by the library and by a node,
// in turns.
func measureFan() []row {
	files, frame := changesToSend()
	fmt.Printf("fan     %d sockets, %d rounds of %d frames of %d changes in %d bytes\n", *sockets, *rounds, *frames, changesPerFrame, len(frame))
	var ratios, times, rates []float64
	for i := range *rounds {
		raw, ours := fanRaw(frame, i == *rounds-1), fanNode(files, i == *rounds-1)
		raw.print("raw")
		ours.print("node")
		ratios = append(ratios, float64(raw.perChange())/float64(ours.perChange()))
		times = append(times, ours.rate()/raw.rate())
		rates = append(rates, ours.rate())
	}
	ratio, rate := median(ratios), median(rates)
	return []row{
		{
			fmt.Sprintf("hub to %d sockets against the raw library, in CPU (goal 16)", *sockets),
			fmt.Sprintf("%.2fx (%.2f to %.2f), in time %.2fx", ratio, slices.Min(ratios), slices.Max(ratios), median(times)),
			fmt.Sprintf("at least %.1fx", leastRatio), ratio >= leastRatio,
		},
		{
			fmt.Sprintf("changes delivered in frames of %d (goal 16)", changesPerFrame), fmt.Sprintf("%.2f M/s", rate/1e6),
			fmt.Sprintf("at least %.1f M/s", leastDeliveries/1e6), rate >= leastDeliveries,
		},
	}
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// changesToSend returns drop files of 64 changes each, and the first of the
// frames in them.
func changesToSend() (files [][]byte, frame []byte) {
	n := openHub(node.Config{Store: memstore.New()}).node
	ids := node.ORSet[int]("ids")
	s := n.Space(space)
	since := s.Vector()
	for i := range *frames {
		for j := range changesPerFrame {
			check(s.Update(context.Background(), func(tx *node.Tx) error { return ids.Add(tx, i*changesPerFrame+j) }))
		}
		var file bytes.Buffer
		_, err := s.Export(context.Background(), &file, node.Cut{Since: since})
		check(err)
		since = s.Vector()
		files = append(files, file.Bytes())
	}
	r, err := wire.NewFileReader(bytes.NewReader(files[0]))
	check(err)
	for f, err := range r.Frames() {
		check(err)
		frame, err = wire.Append(nil, f)
		check(err)
	}
	return files, frame
}

// fanRaw hands each frame to a goroutine per connection, as a hub without a node
// would.
func fanRaw(frame []byte, last bool) fan {
	bare := &raws{}
	address, stop := serve(bare.accept)
	defer stop()
	ends := start("raw", address, *sockets)
	defer ends.stop()
	ends.await()
	await("connections", func() bool { return bare.len() == *sockets })
	return measured("raw", last, func(f *fan) {
		var sent volume
		var wg sync.WaitGroup
		var lines []chan []byte
		for _, c := range bare.conns {
			line := make(chan []byte, lag)
			lines = append(lines, line)
			wg.Go(func() {
				for frame := range line {
					check(c.Write(context.Background(), websocket.MessageBinary, frame))
					sent.add(frame)
				}
			})
		}
		for range *frames {
			for _, line := range lines {
				line <- frame
			}
		}
		for _, line := range lines {
			close(line)
		}
		wg.Wait()
		ends.await()
		f.take(&sent)
	})
}

func (f *fan) take(v *volume) {
	f.frames, f.changes, f.control = v.frames.Load(), v.changes.Load(), v.control.Load()
}

// fanNode has a node import the changes.
func fanNode(files [][]byte, last bool) fan {
	h := openHub(node.Config{Store: memstore.New(), MaxHandshakes: 100_000})
	address, stop := serve(h.accept)
	defer stop()
	ends := start("peer", address, *sockets)
	defer ends.stop()
	ends.await()
	await("connections", func() bool { return connected(h.node) == *sockets })
	time.Sleep(time.Second)
	control := h.sent.control.Load()
	f := measured("node", last, func(f *fan) {
		for i, file := range files {
			h.awaitSent((i - lag) * changesPerFrame * *sockets)
			_, err := h.node.Import(context.Background(), bytes.NewReader(file))
			check(err)
		}
		h.awaitSent(len(files) * changesPerFrame * *sockets)
		ends.await()
		f.take(&h.sent)
	})
	f.control -= control
	check(h.node.Close())
	return f
}

// awaitSent waits until that many changes have gone out, so that what is new
// waits for nobody for long.
func (h *hub) awaitSent(changes int) {
	for h.sent.changes.Load() < int64(changes) {
		time.Sleep(200 * time.Microsecond)
	}
}
