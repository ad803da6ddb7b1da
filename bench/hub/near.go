package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
	"github.com/joinery-crdt/joinery/sync/ws"
)

// space is the space that all hold.
const space = "s"

// changesPerFrame is what goal 16 speaks of.
const changesPerFrame = 64

// serve runs an HTTP server on loopback until stop is called.
func serve(h http.HandlerFunc) (address string, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(l) }()
	return l.Addr().String(), func() { _ = s.Close() }
}

// A hub is a node with an endpoint.
type hub struct {
	node *node.Node
	sent atomic.Int64 // frames of changes, on all connections
}

func openHub(cfg node.Config) *hub {
	n, err := node.Open(context.Background(), cfg)
	check(err)
	return &hub{node: n}
}

// accept serves a connection until it ends.
func (h *hub) accept(w http.ResponseWriter, r *http.Request) {
	if c, err := ws.Accept(w, r, ws.AcceptOptions{}); err == nil {
		_ = h.node.Serve(context.Background(), &counted{c, &h.sent})
	}
}

// counted counts the frames of changes that a connection has taken.
type counted struct {
	wire.Conn
	sent *atomic.Int64
}

// Send sends a frame and counts it.
func (c *counted) Send(ctx context.Context, frame []byte) error {
	err := c.Conn.Send(ctx, frame)
	if wire.Type(frame[0]) == wire.TypeChanges {
		c.sent.Add(1)
	}
	return err
}

// connected returns how many peers of the node are.
func connected(n *node.Node) (count int) {
	for _, p := range n.Status().Peers {
		if p.State == "connected" {
			count++
		}
	}
	return count
}

func await(what string, until func() bool) {
	for deadline := time.Now().Add(time.Minute); !until(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			check(fmt.Errorf("hub: no %s within a minute", what))
		}
	}
}

// raws is the bare library's side: connections that somebody reads.
type raws struct {
	mu    sync.Mutex // guards conns
	conns []*websocket.Conn
}

func (s *raws) accept(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{ws.Subprotocol}, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return
	}
	s.mu.Lock()
	s.conns = append(s.conns, c)
	s.mu.Unlock()
	_, _, _ = c.Read(context.Background())
}

func (s *raws) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// memory returns what the process holds: heap and stacks, and resident.
func memory() (held, resident int64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	text, _ := os.ReadFile("/proc/self/statm")
	var pages int64
	if fields := strings.Fields(string(text)); len(fields) > 1 {
		_, _ = fmt.Sscan(fields[1], &pages)
	}
	return int64(m.HeapInuse + m.StackInuse), pages * int64(os.Getpagesize())
}

func measureIdle() {
	row := func(name, role string, h http.HandlerFunc, until func() bool) {
		heldBefore, residentBefore := memory()
		address, stop := serve(h)
		ends := start(role, address, *idle)
		ends.await()
		await("connections", until)
		time.Sleep(5 * time.Second) // some heartbeats
		held, resident := memory()
		n := int64(*idle)
		fmt.Printf("idle    %-5s %5d connections  %6d bytes each in heap and stacks  %6d resident\n",
			name, n, (held-heldBefore)/n, (resident-residentBefore)/n)
		ends.stop()
		stop()
	}
	bare := &raws{}
	row("raw", "raw", bare.accept, func() bool { return bare.len() == *idle })
	h := openHub(node.Config{Store: memstore.New(), MaxHandshakes: 100_000})
	row("node", "peer", h.accept, func() bool { return connected(h.node) == *idle })
	check(h.node.Close())
}

// measureFan sends the same frames to all sockets, by the library and by a node.
func measureFan() {
	files, size := changesToSend()
	rawCPU, rawWall := fanRaw(make([]byte, size))
	nodeCPU, nodeWall := fanNode(files)
	n := float64(*frames * *sockets)
	for _, row := range []struct {
		name      string
		cpu, wall time.Duration
	}{{"raw", rawCPU, rawWall}, {"node", nodeCPU, nodeWall}} {
		fmt.Printf("fan     %-5s %d sockets, %d frames of %d changes in %d bytes: %5.1f us CPU a frame, %.2f M changes/s\n", row.name, *sockets,
			*frames, changesPerFrame, size, row.cpu.Seconds()/n*1e6, n*changesPerFrame/row.wall.Seconds()/1e6)
	}
	fmt.Printf("fan     node against raw: %.2fx in CPU, %.2fx in time (goal 16: 0.9x)\n", rawCPU.Seconds()/nodeCPU.Seconds(), rawWall.Seconds()/nodeWall.Seconds())
}

// changesToSend returns drop files of 64 changes each, and the size of a frame.
func changesToSend() (files [][]byte, size int) {
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
	return files, len(files[0])
}

// lag is how many frames a connection may be behind what is new.
const lag = 8

// fanRaw hands each frame to a goroutine per connection, as a hub without a node
// would.
func fanRaw(frame []byte) (used, took time.Duration) {
	frame[0] = byte(wire.TypeChanges)
	bare := &raws{}
	address, stop := serve(bare.accept)
	defer stop()
	ends := start("raw", address, *sockets)
	defer ends.stop()
	ends.await()
	await("connections", func() bool { return bare.len() == *sockets })
	began, before := time.Now(), cpu()
	var wg sync.WaitGroup
	var lines []chan []byte
	for _, c := range bare.conns {
		line := make(chan []byte, lag)
		lines = append(lines, line)
		wg.Go(func() {
			for frame := range line {
				check(c.Write(context.Background(), websocket.MessageBinary, frame))
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
	used = cpu() - before
	ends.await()
	return used, time.Since(began)
}

func fanNode(files [][]byte) (used, took time.Duration) {
	h := openHub(node.Config{Store: memstore.New(), MaxHandshakes: 100_000})
	address, stop := serve(h.accept)
	defer stop()
	ends := start("peer", address, *sockets)
	defer ends.stop()
	ends.await()
	await("connections", func() bool { return connected(h.node) == *sockets })
	time.Sleep(time.Second)
	if *profile != "" {
		f, err := os.Create(*profile)
		check(err)
		check(pprof.StartCPUProfile(f))
		defer pprof.StopCPUProfile()
	}
	began, before := time.Now(), cpu()
	for i, file := range files {
		h.awaitSent((i - lag) * *sockets)
		_, err := h.node.Import(context.Background(), bytes.NewReader(file))
		check(err)
	}
	h.awaitSent(len(files) * *sockets)
	used = cpu() - before
	ends.await()
	return used, time.Since(began)
}

// awaitSent waits until that many frames have gone out, so that what is new
// waits for nobody for long.
func (h *hub) awaitSent(n int) {
	for h.sent.Load() < int64(n) {
		time.Sleep(200 * time.Microsecond)
	}
}

// measureStorm restarts a hub to which devices are connected.
func measureStorm() {
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
	fmt.Printf("storm   %d devices back %.0f s after a restart, at most %d in a second, where %d are let in (and as many at once)\n",
		*devices, time.Since(began).Seconds(), most, *rate)
}
