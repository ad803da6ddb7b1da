package ws

import (
	"bufio"
	"encoding/binary"
	"net"
	"net/http"
)

const (
	// readBuffer is how many bytes of small frames are read at a time. More of a
	// large one is read past the buffer.
	readBuffer = 1 << 10
	// writeBuffer holds the header of a frame, and as little more as the library
	// lets it.
	writeBuffer = 16
)

// hijackerOf finds out whether the response writer can hand over its connection,
// as the library does.
func hijackerOf(w http.ResponseWriter) (http.Hijacker, bool) {
	for {
		switch t := w.(type) {
		case http.Hijacker:
			return t, true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return nil, false
		}
	}
}

// A takeover hands a connection over with small buffers of its own: a server has
// many that do nothing.
type takeover struct {
	http.ResponseWriter
	hijacker http.Hijacker
	socket   net.Conn // once it is handed over
}

// Hijack takes the connection from the HTTP server.
func (t *takeover) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := t.hijacker.Hijack()
	if err != nil {
		return nil, nil, err
	}
	t.socket = c
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	s := &socket{c, append([]byte(nil), early...)}
	w := bufio.NewWriter(c)
	if tcp, ok := c.(*net.TCPConn); ok {
		w = bufio.NewWriterSize(&gather{to: tcp}, writeBuffer)
	}
	return s, bufio.NewReadWriter(bufio.NewReaderSize(s, readBuffer), w), nil
}

// A socket is a connection of which some bytes were read before.
type socket struct {
	net.Conn
	early []byte
}

// Read returns the early bytes first.
func (s *socket) Read(p []byte) (int, error) {
	if len(s.early) == 0 {
		return s.Conn.Read(p)
	}
	n := copy(p, s.early)
	if s.early = s.early[n:]; len(s.early) == 0 {
		s.early = nil
	}
	return n, nil
}

// A gather writes each frame of a server with one system call, although it gets
// it in two pieces: what fits into the buffer before it, and the rest. It is a
// writer for a bufio.Writer of writeBuffer bytes that is flushed after each frame.
type gather struct {
	to    net.Conn
	held  [writeBuffer]byte // the first piece
	n     int               // bytes of it
	parts [2][]byte
	queue net.Buffers // of parts
}

// Write takes a whole frame, or a piece.
func (g *gather) Write(b []byte) (int, error) {
	if g.n == 0 && len(b) < frameSize(b) {
		g.n = copy(g.held[:], b)
		return g.n, nil
	}
	g.parts = [2][]byte{g.held[:g.n], b}
	g.queue = g.parts[:]
	n, err := g.queue.WriteTo(g.to)
	g.n, g.parts = 0, [2][]byte{}
	return min(int(n), len(b)), err
}

// frameSize returns the size of the frame that begins with b, which has its whole
// header: RFC 6455, section 5.2, without a mask.
func frameSize(b []byte) int {
	switch n := int(b[1]); n {
	case 126:
		return 4 + int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		return 10 + int(binary.BigEndian.Uint64(b[2:]))
	default:
		return 2 + n
	}
}
