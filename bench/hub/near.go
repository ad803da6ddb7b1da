package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
	"github.com/joinery-crdt/joinery/sync/ws"
)

// space is the space that all hold.
const space = "s"

// smallBuffer is what the system holds of a connection whose far end is to stall
// soon, in bytes.
const smallBuffer = 16 << 10

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
	sent volume // of changes, on all connections
}

func openHub(cfg node.Config) *hub {
	n, err := node.Open(context.Background(), cfg)
	check(err)
	return &hub{node: n}
}

// accept serves a connection until it ends, as syncd does: not in the goroutine of
// the HTTP server.
func (h *hub) accept(w http.ResponseWriter, r *http.Request) {
	if c, err := ws.Accept(w, r, ws.AcceptOptions{}); err == nil {
		go func() { _ = h.node.Serve(context.Background(), &counted{c, &h.sent}) }()
	}
}

// A volume is what has gone out.
type volume struct{ frames, changes, control atomic.Int64 }

func (v *volume) add(frame []byte) {
	if n := changesIn(frame); n > 0 {
		v.frames.Add(1)
		v.changes.Add(int64(n))
	} else {
		v.control.Add(1)
	}
}

// changesIn returns how many changes of the space a frame holds.
func changesIn(frame []byte) int {
	const at = 2 + 1 + 1 + 1 + len(space) + 1 // frame header, map, 1, head of the name, name, 2
	if wire.Type(frame[0]) != wire.TypeChanges {
		return 0
	}
	switch n := frame[at] & 0x1f; n {
	case 24:
		return int(frame[at+1])
	case 25:
		return int(binary.BigEndian.Uint16(frame[at+1:]))
	default:
		return int(n)
	}
}

// counted counts the frames that a connection has taken.
type counted struct {
	wire.Conn
	sent *volume
}

// Send sends a frame and counts it.
func (c *counted) Send(ctx context.Context, frame []byte) error {
	err := c.Conn.Send(ctx, frame)
	c.sent.add(frame)
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
	for deadline := time.Now().Add(5 * time.Minute); !until(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			check(fmt.Errorf("hub: no %s within five minutes", what))
		}
	}
}

// raws is the bare library's side: connections that somebody reads.
type raws struct {
	apart bool // not in the goroutine of the HTTP server

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
	read := func() { _, _, _ = c.Read(context.Background()) }
	if s.apart {
		go read()
	} else {
		read()
	}
}

func (s *raws) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = nil
}

func (s *raws) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// footprint is what the process holds, in bytes.
type footprint struct{ heap, stacks, resident int64 }

func memory() footprint {
	for range 3 { // what has a finalizer goes at the second
		runtime.GC()
		time.Sleep(100 * time.Millisecond)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{int64(m.HeapInuse), int64(m.StackInuse), field("/proc/self/statm", 1) * int64(os.Getpagesize())}
}

func (f footprint) held() int64 { return f.heap + f.stacks }

// each returns what each of n took since before.
func (f footprint) each(before footprint, n int) footprint {
	return footprint{(f.heap - before.heap) / int64(n), (f.stacks - before.stacks) / int64(n), (f.resident - before.resident) / int64(n)}
}

// writes returns how many write system calls this process has made, 0 where the
// system does not say.
func writes() int64 { return field("/proc/self/io", 7) }

// field returns a number out of a file of the system's, 0 if there is none.
func field(file string, n int) (number int64) {
	text, _ := os.ReadFile(file)
	if fields := strings.Fields(string(text)); len(fields) > n {
		_, _ = fmt.Sscan(fields[n], &number)
	}
	return number
}
