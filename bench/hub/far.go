package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
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
	var got atomic.Int64
	for range *count {
		switch role {
		case "raw":
			go read(dialRaw(), &got, nil)
		case "peer":
			c := dialRaw()
			greet(c)
			go read(c, &got, answer(c))
		case "stall":
			greet(dialSmall())
		case "device":
			go device()
		}
	}
	fmt.Println("connected")
	go func() {
		for got.Load() < int64(changesPerFrame**frames**count) {
			time.Sleep(time.Millisecond)
		}
		fmt.Println("all received")
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func dialRaw() *websocket.Conn { return dial(nil) }

// dialSmall opens a connection for which the system holds little.
func dialSmall() *websocket.Conn {
	return dial(&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil {
				err = c.(*net.TCPConn).SetReadBuffer(smallBuffer)
			}
			return c, err
		},
	}})
}

func dial(by *http.Client) *websocket.Conn {
	c, _, err := websocket.Dial(context.Background(), "ws://"+*at, &websocket.DialOptions{
		HTTPClient: by, Subprotocols: []string{ws.Subprotocol}, CompressionMode: websocket.CompressionDisabled,
	})
	check(err)
	c.SetReadLimit(wire.MaxFrame)
	return c
}

// read counts the changes until the connection ends.
func read(c *websocket.Conn, got *atomic.Int64, other func(frame []byte)) {
	var b bytes.Buffer
	for {
		_, r, err := c.Reader(context.Background())
		if err != nil {
			return
		}
		b.Reset()
		if _, err := b.ReadFrom(r); err != nil {
			return
		}
		if n := changesIn(b.Bytes()); n > 0 {
			got.Add(int64(n))
		} else if other != nil {
			other(b.Bytes())
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
