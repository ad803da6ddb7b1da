package pgstore_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/joinery-crdt/joinery/internal/pgtest"
)

// A fault is what a proxy does with the next bytes of a connection on which
// groups commit.
type fault int32

const (
	healthy     fault = iota
	loseRequest       // close the connection before the server gets them
	loseAnswer        // close the connection when the server has answered
	loseForGood       // loseAnswer, and take no connections after it
	refuseAll         // take no connections
)

// A proxy stands between stores and the shared server.
type proxy struct {
	dir      string
	listener net.Listener
	mu       sync.Mutex // guards the rest
	fault    fault
	conns    map[net.Conn]bool
	open     sync.WaitGroup
}

// newProxy starts a proxy, which ends with the test.
func newProxy(t *testing.T) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgproxy")
	if err != nil {
		t.Fatal(err)
	}
	_, name := server.Socket()
	l, err := net.Listen("unix", filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{dir: dir, listener: l, conns: map[net.Conn]bool{}}
	p.open.Go(p.accept)
	t.Cleanup(func() {
		p.listener.Close()
		p.cut()
		p.open.Wait()
		os.RemoveAll(dir)
	})
	return p
}

// URL is the connection string through the proxy.
func (p *proxy) URL() string { return pgtest.URL(p.dir) }

// set makes the proxy do something with the next bytes.
func (p *proxy) set(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		if !p.join(client) {
			client.Close()
			continue
		}
		p.open.Go(func() { p.serve(client) })
	}
}

// join notes a connection, unless none are taken.
func (p *proxy) join(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault == refuseAll {
		return false
	}
	p.conns[c] = true
	return true
}

// take returns the fault for bytes of a client; a fault strikes once.
func (p *proxy) take() fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.fault
	switch f {
	case loseRequest, loseAnswer:
		p.fault = healthy
	case loseForGood:
		p.fault = refuseAll
	}
	return f
}

// serve passes bytes on until a fault or the end.
func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	dir, name := server.Socket()
	upstream, err := net.Dial("unix", filepath.Join(dir, name))
	if err != nil {
		return
	}
	defer upstream.Close()
	answers := make(chan struct{})
	swallow := &gate{w: client}
	p.open.Go(func() {
		defer close(answers)
		_, _ = io.Copy(swallow, upstream)
		client.Close()
	})
	buf := make([]byte, 64<<10)
	commits := false // whether groups commit here
	for {
		n, err := client.Read(buf)
		if err != nil {
			break
		}
		if commits {
			switch p.take() {
			case loseRequest:
				return
			case loseAnswer, loseForGood:
				swallow.shut()
			}
		}
		commits = commits || bytes.Contains(buf[:n], []byte(".enter("))
		if _, err := upstream.Write(buf[:n]); err != nil {
			break
		}
	}
	upstream.Close()
	<-answers
}

var errShut = errors.New("the answer was lost")

// A gate passes bytes on until it is shut; the first bytes after it are lost,
// and so is the connection.
type gate struct {
	mu   sync.Mutex // guards down
	down bool
	w    io.Writer
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = true
}

// Write implements io.Writer.
func (g *gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down {
		return 0, errShut
	}
	return g.w.Write(b)
}
