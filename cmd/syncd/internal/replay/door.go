package replay

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// door is a TCP address that leads to another one, which may change, and that
// can be shut for a while: a link that can be cut.
type door struct {
	listener net.Listener

	mu     sync.Mutex // guards what follows
	target string     // empty: leads nowhere
	shut   bool
	slow   bool
	conns  map[net.Conn]struct{}
}

// openDoor opens a door on a free port of the loopback interface.
func openDoor() (*door, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &door{listener: l, conns: make(map[net.Conn]struct{})}
	go d.accept()
	return d, nil
}

func (d *door) address() string { return d.listener.Addr().String() }

func (d *door) leadTo(target string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.target = target
}

// cut ends all connections and admits none until mend is called.
func (d *door) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
	for c := range d.conns {
		c.Close()
	}
}

// bytesPerSecond is how fast a slow door lets through.
const bytesPerSecond = 200_000

// slowDown lets everything pass slowly on its way to the target, or not any more.
func (d *door) slowDown(slow bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slow = slow
}

// Write takes note of what is about to pass, for as long as it takes.
func (d *door) Write(b []byte) (int, error) {
	d.mu.Lock()
	slow := d.slow
	d.mu.Unlock()
	if slow {
		time.Sleep(time.Duration(len(b)) * time.Second / bytesPerSecond)
	}
	return len(b), nil
}

func (d *door) mend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = false
}

func (d *door) close() {
	d.listener.Close()
	d.cut()
}

func (d *door) accept() {
	for {
		c, err := d.listener.Accept()
		if err != nil {
			return
		}
		go d.pass(c)
	}
}

// pass joins a connection with a new one to the target.
func (d *door) pass(in net.Conn) {
	defer in.Close()
	out, err := d.enter(in)
	if err != nil {
		return
	}
	defer out.Close()
	defer d.leave(in, out)
	var both sync.WaitGroup
	both.Go(func() { copyAndClose(out, in, io.TeeReader(in, d)) })
	both.Go(func() { copyAndClose(in, out, out) })
	both.Wait()
}

func copyAndClose(dst, src net.Conn, read io.Reader) {
	_, _ = io.CopyBuffer(struct{ io.Writer }{dst}, read, make([]byte, 4<<10))
	dst.Close()
	src.Close()
}

var errShut = errors.New("replay: the link is cut")

func (d *door) enter(in net.Conn) (net.Conn, error) {
	d.mu.Lock()
	target, shut := d.target, d.shut
	d.mu.Unlock()
	if shut || target == "" {
		return nil, errShut
	}
	out, err := net.Dial("tcp", target)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		out.Close()
		return nil, errShut
	}
	d.conns[in], d.conns[out] = struct{}{}, struct{}{}
	return out, nil
}

func (d *door) leave(in, out net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, in)
	delete(d.conns, out)
}
