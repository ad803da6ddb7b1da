package ws_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/joinery-crdt/joinery/sync/wire"
	"github.com/joinery-crdt/joinery/sync/ws"
)

// TestContextEndsLater ends contexts under which frames were sent and received
// before: the connection goes on.
func TestContextEndsLater(t *testing.T) {
	client, server := pair(t)
	for _, ends := range [][2]wire.Conn{{client, server}, {server, client}} {
		for i := range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			for j := range 2 {
				want := fmt.Sprint(i, j)
				if err := ends[0].Send(ctx, []byte(want)); err != nil {
					t.Fatal(err)
				}
				if got, err := ends[1].Recv(ctx); err != nil || string(got) != want {
					t.Fatalf("Recv = %q, %v; want %q", got, err, want)
				}
			}
			cancel()
		}
	}
}

// TestEndedContext has calls begin under contexts that have ended: one of which
// the connection has been told before, and one that is new to it.
func TestEndedContext(t *testing.T) {
	for name, before := range map[string]bool{"known": true, "new": false} {
		t.Run(name, func(t *testing.T) {
			_, server := pair(t)
			ctx, cancel := context.WithCancel(t.Context())
			if before {
				if err := server.Send(ctx, []byte("fine")); err != nil {
					t.Fatal(err)
				}
			}
			cancel()
			time.Sleep(10 * time.Millisecond) // the end is told when there is no call
			if _, err := server.Recv(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Recv: %v, want context.Canceled", err)
			}
		})
	}
}

// TestContextEndsRecvAmongSends has frames sent under other contexts than the one
// under which a Recv waits.
func TestContextEndsRecvAmongSends(t *testing.T) {
	client, server := pair(t)
	waits, cancel := context.WithCancel(t.Context())
	received := make(chan error, 1)
	go func() {
		_, err := server.Recv(waits)
		received <- err
	}()
	for range 100 {
		ctx, done := context.WithCancel(t.Context())
		if err := server.Send(ctx, nil); err != nil {
			t.Fatal(err)
		}
		done()
		if _, err := client.Recv(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-received; !errors.Is(err, context.Canceled) {
		t.Errorf("Recv: %v, want context.Canceled", err)
	}
}

// TestContextEndsSend ends the context of a Send that is stuck.
func TestContextEndsSend(t *testing.T) {
	for _, end := range []func(client, server wire.Conn) wire.Conn{
		func(client, _ wire.Conn) wire.Conn { return client },
		func(_, server wire.Conn) wire.Conn { return server },
	} {
		c := end(pair(t))
		ctx, cancel := context.WithCancel(t.Context())
		stuck := make(chan error, 1)
		go func() {
			var err error
			for err == nil {
				err = c.Send(ctx, make([]byte, wire.MaxFrame))
			}
			stuck <- err
		}()
		time.Sleep(10 * time.Millisecond)
		cancel()
		if err := <-stuck; !errors.Is(err, context.Canceled) {
			t.Errorf("Send: %v, want context.Canceled", err)
		}
	}
}

// TestSizes sends frames whose headers and rests are divided in all ways.
func TestSizes(t *testing.T) {
	client, server := pair(t)
	var sizes []int
	for n := range 20 {
		sizes = append(sizes, n, 110+n, 65_520+n)
	}
	for _, n := range sizes {
		want := bytes.Repeat([]byte{byte(n)}, n)
		if err := server.Send(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if got, err := client.Recv(t.Context()); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("Recv of %d bytes = %d bytes, %v", n, len(got), err)
		}
	}
}

// TestFrameBehindHandshake sends a frame with the handshake, without waiting for
// the answer.
func TestFrameBehindHandshake(t *testing.T) {
	accepted := make(chan wire.Conn, 1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, ws.AcceptOptions{})
		if err != nil {
			t.Errorf("Accept: %v", err)
		}
		accepted <- c
	})
	host := strings.TrimPrefix(url, "ws://")
	c, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const size = 3000 // several times what is read at a time
	request := fmt.Sprintf("GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: %s\r\n\r\n", host, ws.Subprotocol)
	frame := binary.BigEndian.AppendUint16([]byte{0x82, 0x80 | 126}, size) // binary, masked, with a length of two bytes
	frame = append(append(frame, 0, 0, 0, 0), make([]byte, size)...)       // by nothing
	if _, err := io.WriteString(c, request+string(frame)); err != nil {
		t.Fatal(err)
	}
	if r, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake: %v", err)
	}
	server := <-accepted
	if got, err := server.Recv(t.Context()); err != nil || len(got) != size {
		t.Errorf("Recv = %d bytes, %v; want %d", len(got), err, size)
	}
	_ = server.Close("end of test")
}
