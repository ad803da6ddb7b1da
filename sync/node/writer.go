package node

import (
	"context"
	"errors"
	"time"

	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// rouse sees to it that somebody writes. The caller holds l.mu.
func (l *peerLink) rouse() {
	switch {
	case l.writing:
		poke(l.wake)
	case !l.over:
		l.writing = true
		l.tasks.Go(func() {
			if err := l.writeLoop(l.ctx); err != nil {
				l.end(err)
			}
		})
	}
}

// writeLoop sends control frames, then data. When there is neither, it waits for
// more, or returns if data is rare. It returns why when the link is to end and
// everything in line has been sent.
func (l *peerLink) writeLoop(ctx context.Context) error {
	for {
		more, err := l.write(ctx)
		switch {
		case errors.Is(err, wire.ErrClosed):
			return l.hearWhy(ctx, err)
		case err != nil:
			return err
		case more:
			continue
		case l.rest():
			return nil
		}
		if <-l.wake; ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// rest reports whether the writer, which has nothing to do, is to return.
func (l *peerLink) rest() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.flowing || len(l.wake) > 0 {
		return false
	}
	l.writing = false
	return true
}

// write sends what is in line, or one data frame, and reports whether there was
// any.
func (l *peerLink) write(ctx context.Context) (more bool, err error) {
	control, data, spent, err := l.next()
	for _, f := range control {
		if err := l.send(ctx, f); err != nil {
			return false, err
		}
	}
	if spent {
		l.node.admission.leave(l)
	}
	if data != nil && err == nil {
		return true, l.send(ctx, data)
	}
	return len(control) > 0, err
}

// next takes the control frames that are in line, or else a data frame if it is
// this link's turn. One that has nothing left to send is spent: it makes room for
// another. The error is why the link ends, when all in line has been taken.
func (l *peerLink) next() (control []crdtsync.Frame, data crdtsync.Frame, spent bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if control = l.control; len(control) > 0 {
		l.control = nil
		poke(l.took)
		return control, nil, false, nil
	}
	if l.err != nil || l.lined.Load() {
		return nil, nil, false, l.err
	}
	data, err = l.core.Next()
	l.flowing = l.flowing || data != nil
	return nil, data, data == nil || err != nil, err
}

// hearWhy waits for a moment until the reader has taken what the peer sent
// before it closed the connection: its goodbye, perhaps.
func (l *peerLink) hearWhy(ctx context.Context, err error) error {
	late := time.NewTimer(lastWords)
	defer late.Stop()
	for l.cause() == nil {
		select {
		case <-l.wake:
		case <-late.C:
			return err
		case <-ctx.Done():
			return err
		}
	}
	return err
}

func (l *peerLink) send(ctx context.Context, f crdtsync.Frame) error {
	b, err := l.node.fanout.encode(f, l.s2.Load())
	if _, proof := f.(*crdtsync.Forked); proof && err != nil {
		l.node.log.Warn("a change that shows a fork is too long to be told", "code", "too_large", "peer", l.peer.address, "err", err)
		return nil
	}
	if err != nil {
		return err
	}
	if len(b) > wire.MaxFrame {
		return l.sendPieces(ctx, b)
	}
	l.began()
	defer l.sent()
	return l.conn.Send(ctx, b)
}
