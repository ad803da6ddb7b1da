package wire_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/joinery-crdt/joinery/sync/wire"
)

func wantClosed(t *testing.T, what string, err error, want wire.ClosedError) {
	t.Helper()
	e, ok := errors.AsType[*wire.ClosedError](err)
	if !ok || *e != want || !errors.Is(err, wire.ErrClosed) {
		t.Errorf("%s: %v; want %v", what, err, &want)
	}
}

func TestPipeCarries(t *testing.T) {
	a, b := wire.Pipe()
	for _, ends := range [][2]wire.Conn{{a, b}, {b, a}} {
		for _, frame := range []string{"first", "second", ""} {
			if err := ends[0].Send(t.Context(), []byte(frame)); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []string{"first", "second", ""} {
			if got, err := ends[1].Recv(t.Context()); err != nil || string(got) != want {
				t.Errorf("Recv = %q, %v; want %q", got, err, want)
			}
		}
	}
}

func TestPipeClose(t *testing.T) {
	a, b := wire.Pipe()
	if err := a.Send(t.Context(), []byte("last words")); err != nil {
		t.Fatal(err)
	}
	for _, reason := range []string{"enough", "again"} {
		if err := a.Close(reason); err != nil {
			t.Fatal(err)
		}
	}
	here, there := wire.ClosedError{Reason: "enough"}, wire.ClosedError{Reason: "enough", ByPeer: true}
	wantClosed(t, "Send at the peer", b.Send(t.Context(), []byte("x")), there)
	if got, err := b.Recv(t.Context()); err != nil || string(got) != "last words" {
		t.Errorf("Recv = %q, %v; want what was sent before the end", got, err)
	}
	_, err := b.Recv(t.Context())
	wantClosed(t, "Recv at the peer", err, there)
	wantClosed(t, "Send", a.Send(t.Context(), []byte("x")), here)
	_, err = a.Recv(t.Context())
	wantClosed(t, "Recv", err, here)
}

func TestPipeCloseWakes(t *testing.T) {
	for _, closer := range []string{"here", "peer"} {
		synctest.Test(t, func(t *testing.T) {
			a, b := wire.Pipe()
			sent, received := make(chan error, 1), make(chan error, 1)
			go func() {
				for {
					if err := a.Send(t.Context(), []byte("x")); err != nil {
						sent <- err
						return
					}
				}
			}()
			go func() {
				_, err := a.Recv(t.Context())
				received <- err
			}()
			synctest.Wait() // the pipe is full and the other direction empty
			end := map[string]wire.Conn{"here": a, "peer": b}[closer]
			_ = end.Close("over")
			want := wire.ClosedError{Reason: "over", ByPeer: closer == "peer"}
			wantClosed(t, "Send closed by "+closer, <-sent, want)
			wantClosed(t, "Recv closed by "+closer, <-received, want)
		})
	}
}

func TestPipeContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := wire.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 2)
		go func() {
			_, err := a.Recv(ctx)
			result <- err
		}()
		go func() {
			var err error
			for err == nil {
				err = a.Send(ctx, nil)
			}
			result <- err
		}()
		synctest.Wait()
		cancel()
		for range 2 {
			if err := <-result; !errors.Is(err, context.Canceled) {
				t.Errorf("after cancel: %v, want context.Canceled", err)
			}
		}
	})
}

func TestPipeLimit(t *testing.T) {
	a, _ := wire.Pipe()
	if err := a.Send(t.Context(), make([]byte, wire.MaxFrame+1)); !errors.Is(err, wire.ErrFrame) {
		t.Errorf("Send of a frame over the limit: %v, want ErrFrame", err)
	}
	if err := a.Send(t.Context(), make([]byte, wire.MaxFrame)); err != nil {
		t.Errorf("Send of the largest frame: %v", err)
	}
}
