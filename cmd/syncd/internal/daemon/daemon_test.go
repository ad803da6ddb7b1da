package daemon_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/client"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/daemon"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/datadir"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/store"
)

func TestListensOnLoopbackUnlessToldOtherwise(t *testing.T) {
	for _, c := range []struct {
		listen string
		kind   error // nil if it may be listened on
	}{
		{"127.0.0.1:0", nil},
		{"127.1.2.3:0", nil},
		{"localhost:0", nil},
		{"0.0.0.0:0", daemon.ErrExposed},
		{":0", daemon.ErrExposed},
		{"[::]:0", daemon.ErrExposed},
		{"192.0.2.7:0", daemon.ErrExposed},
		{"localhost.example:0", daemon.ErrExposed},
		{"127.0.0.1", daemon.ErrAddress},
		{"nonsense", daemon.ErrAddress},
		{"127.0.0.1:99999", daemon.ErrListen},
	} {
		dir := datadir.Dir(filepath.Join(t.TempDir(), "d"))
		d, err := daemon.Open(t.Context(), daemon.Config{Dir: dir, Listen: c.listen})
		if err == nil {
			err = d.Close()
		}
		if !errors.Is(err, c.kind) {
			t.Errorf("Open on %s = %v, want %v", c.listen, err, c.kind)
		}
		_, statErr := os.Stat(string(dir))
		if early := c.kind == daemon.ErrExposed || c.kind == daemon.ErrAddress; early != errors.Is(statErr, os.ErrNotExist) {
			t.Errorf("Open on %s: the directory: %v", c.listen, statErr)
		}
	}
}

// TestFailedOpenHoldsNothing: after an error neither the directory nor the port
// is in use.
func TestFailedOpenHoldsNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := daemon.Config{Dir: datadir.Dir(t.TempDir()), Listen: taken.Addr().String()}
	if _, err := daemon.Open(t.Context(), cfg); !errors.Is(err, daemon.ErrListen) {
		t.Fatalf("Open on a taken port = %v", err)
	}
	cfg.Listen, cfg.Peers = "127.0.0.1:0", []string{"ftp://x"}
	if _, err := daemon.Open(t.Context(), cfg); err == nil {
		t.Fatal("Open with an impossible peer succeeds")
	}
	if _, err := cfg.Dir.Address(); !errors.Is(err, datadir.ErrNotRunning) {
		t.Errorf("a failed Open noted an address: %v", err)
	}
	cfg.Peers = nil
	d, err := daemon.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Open after two failures: %v", err)
	}
	if _, err := daemon.Open(t.Context(), cfg); !errors.Is(err, store.ErrLocked) {
		t.Errorf("a second Open = %v, want ErrLocked", err)
	}
	if got, err := cfg.Dir.Address(); err != nil || got != d.Address() {
		t.Errorf("after a refused second Open the address is %q, %v", got, err)
	}
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Errorf("Close twice: %v", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	cfg := daemon.Config{Dir: datadir.Dir(t.TempDir()), Listen: "127.0.0.1:0", Name: "n"}
	for restart := range 2 {
		d, err := daemon.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		c := client.New(d.Address(), string(cfg.Dir))
		written, err := c.Do(t.Context(), "s", v1.Op{Op: "inc", Key: "k"})
		if err != nil || written.Change != d.Node().Origin().String()+"/"+string(rune('1'+restart)) {
			t.Errorf("write %d = %+v, %v", restart, written, err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
		if _, err := c.Status(t.Context()); !errors.Is(err, client.ErrUnreachable) {
			t.Errorf("after Run the daemon answers: %v", err)
		}
	}
}
