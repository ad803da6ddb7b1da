package wire

import (
	"context"
	"fmt"
)

// pipeFrames is how many frames one direction of a pipe holds.
const pipeFrames = 16

// Pipe returns the two ends of a connection in memory. It blocks on channels
// only, never on time, and hands buffers over without copying them.
func Pipe() (Conn, Conn) {
	ab, ba := make(chan []byte, pipeFrames), make(chan []byte, pipeFrames)
	a, b := newPipeEnd(ab, ba), newPipeEnd(ba, ab)
	a.peer, b.peer = b, a
	return a, b
}

type pipeEnd struct {
	out  chan<- []byte
	in   <-chan []byte
	peer *pipeEnd

	closing chan struct{} // holds the token of the one who closes
	closed  chan struct{} // closed once reason is set
	reason  string
}

func newPipeEnd(out chan<- []byte, in <-chan []byte) *pipeEnd {
	p := &pipeEnd{out: out, in: in, closing: make(chan struct{}, 1), closed: make(chan struct{})}
	p.closing <- struct{}{}
	return p
}

// Send puts the frame into the pipe.
func (p *pipeEnd) Send(ctx context.Context, frame []byte) error {
	if len(frame) > MaxFrame {
		return &FrameError{0, fmt.Sprintf("%d bytes, the limit is %d", len(frame), MaxFrame)}
	}
	if err := p.ended(ctx); err != nil {
		return err
	}
	select {
	case p.out <- frame:
		return nil
	case <-p.closed:
	case <-p.peer.closed:
	case <-ctx.Done():
	}
	return p.ended(ctx)
}

// ended returns why nothing can be sent any more.
func (p *pipeEnd) ended(ctx context.Context) error {
	select {
	case <-p.closed:
		return &ClosedError{Reason: p.reason}
	default:
	}
	select {
	case <-p.peer.closed:
		return &ClosedError{Reason: p.peer.reason, ByPeer: true}
	default:
		return ctx.Err()
	}
}

// Recv takes a frame out of the pipe.
func (p *pipeEnd) Recv(ctx context.Context) ([]byte, error) {
	select {
	case <-p.closed:
		return nil, &ClosedError{Reason: p.reason}
	default:
	}
	select {
	case frame := <-p.in:
		return frame, nil
	case <-p.closed:
	case <-p.peer.closed:
		return p.drain(ctx)
	case <-ctx.Done():
	}
	return nil, p.ended(ctx)
}

// drain returns what the peer had sent before it closed.
func (p *pipeEnd) drain(ctx context.Context) ([]byte, error) {
	select {
	case frame := <-p.in:
		return frame, nil
	default:
		return nil, p.ended(ctx)
	}
}

// Close ends both directions.
func (p *pipeEnd) Close(reason string) error {
	select {
	case <-p.closing:
		p.reason = reason
		close(p.closed)
	default:
	}
	return nil
}
