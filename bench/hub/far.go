package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
	"github.com/joinery-crdt/joinery/sync/ws"
)

// A far is the process of the far ends.
type far struct {
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Reader
}

// start runs n far ends against the hub at the address.
func start(role, address string, n int) *far {
	program, err := os.Executable()
	check(err)
	cmd := exec.Command(program, "-role", role, "-at", address, "-count", fmt.Sprint(n), "-frames", fmt.Sprint(*frames))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	check(err)
	out, err := cmd.StdoutPipe()
	check(err)
	check(cmd.Start())
	return &far{cmd, in, bufio.NewReader(out)}
}

// await waits for the next line that the far ends say.
func (f *far) await() {
	_, err := f.out.ReadString('\n')
	check(err)
}

// stop ends the far ends.
func (f *far) stop() {
	_ = f.in.Close()
	_ = f.cmd.Wait()
}

// play is the main function of the far ends. They end with their standard input.
func play(role string) {
	var ready, got atomic.Int64
	for range *count {
		switch role {
		case "raw":
			c := dialRaw()
			ready.Add(1)
			go read(c, &got, nil)
		case "peer":
			c := dialRaw()
			ready.Add(1)
			greet(c)
			go read(c, &got, answer(c))
		case "device":
			go device()
		}
	}
	fmt.Println("connected")
	go func() {
		for got.Load() < int64(*frames)*int64(*count) {
			time.Sleep(time.Millisecond)
		}
		fmt.Println("all received")
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func dialRaw() *websocket.Conn {
	c, _, err := websocket.Dial(context.Background(), "ws://"+*at, &websocket.DialOptions{
		Subprotocols: []string{ws.Subprotocol}, CompressionMode: websocket.CompressionDisabled,
	})
	check(err)
	c.SetReadLimit(wire.MaxFrame)
	return c
}

// read counts the frames of changes until the connection ends.
func read(c *websocket.Conn, got *atomic.Int64, other func(frame []byte)) {
	for {
		_, b, err := c.Read(context.Background())
		if err != nil {
			return
		}
		if wire.Type(b[0]) == wire.TypeChanges {
			got.Add(1)
		} else if other != nil {
			other(b)
		}
	}
}

// greet asks for all of the space.
func greet(c *websocket.Conn) {
	say(c, &crdtsync.Hello{MinVersion: crdtsync.MinVersion, MaxVersion: crdtsync.Version, Origin: merge.Origin{9}, Name: "far"})
	say(c, &crdtsync.Subscribe{Space: space, Vector: &merge.VersionVector{}})
}

// answer keeps the link alive.
func answer(c *websocket.Conn) func([]byte) {
	return func(frame []byte) {
		switch f, _ := wire.Decode(frame); f := f.(type) {
		case *crdtsync.Hello:
			say(c, &crdtsync.Welcome{Version: crdtsync.Version})
		case *crdtsync.Ping:
			say(c, &crdtsync.Pong{N: f.N})
		}
	}
}

func say(c *websocket.Conn, f crdtsync.Frame) {
	b, err := wire.Append(nil, f)
	check(err)
	_ = c.Write(context.Background(), websocket.MessageBinary, b)
}

// device is a whole node that syncs with the hub.
func device() {
	n, err := node.Open(context.Background(), node.Config{Store: memstore.New()})
	check(err)
	d, err := ws.NewDialer("ws://"+*at, ws.DialOptions{})
	check(err)
	_ = n.Sync(context.Background(), d)
}
