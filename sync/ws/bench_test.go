package ws_test

import (
	"io"
	"log"
	"net/http"
	"testing"

	"github.com/coder/websocket"

	"github.com/joinery-crdt/joinery/sync/wire"
	"github.com/joinery-crdt/joinery/sync/ws"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// BenchmarkFrames sends frames in one direction over loopback, through this
// package and through the library alone.
func BenchmarkFrames(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"size=200", 200}, {"size=64KiB", 64 << 10}} {
		frame := make([]byte, size.bytes)
		b.Run(size.name+"/via=ws", func(b *testing.B) {
			client, server := pair(b)
			run(b, size.bytes,
				func() error { return client.Send(b.Context(), frame) },
				func() error { _, err := server.Recv(b.Context()); return err })
		})
		b.Run(size.name+"/via=library", func(b *testing.B) {
			client, server := rawPair(b)
			run(b, size.bytes,
				func() error { return client.Write(b.Context(), websocket.MessageBinary, frame) },
				func() error { _, _, err := server.Read(b.Context()); return err })
		})
	}
}

func run(b *testing.B, size int, send, recv func() error) {
	b.Helper()
	b.SetBytes(int64(size))
	b.ReportAllocs()
	received := make(chan error, 1)
	todo := make(chan struct{}, 1<<16)
	go func() {
		for range todo {
			if err := recv(); err != nil {
				received <- err
				return
			}
		}
		received <- nil
	}()
	for b.Loop() {
		if err := send(); err != nil {
			b.Fatal(err)
		}
		todo <- struct{}{}
	}
	close(todo)
	if err := <-received; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
}

func rawPair(b *testing.B) (client, server *websocket.Conn) {
	b.Helper()
	accepted := make(chan *websocket.Conn, 1)
	url := serve(b, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{ws.Subprotocol}})
		if err != nil {
			b.Errorf("Accept: %v", err)
		}
		accepted <- c
	})
	client, _, err := websocket.Dial(b.Context(), url, &websocket.DialOptions{Subprotocols: []string{ws.Subprotocol}})
	if err != nil {
		b.Fatal(err)
	}
	server = <-accepted
	server.SetReadLimit(wire.MaxFrame)
	b.Cleanup(func() {
		_ = client.CloseNow()
		_ = server.CloseNow()
	})
	return client, server
}
