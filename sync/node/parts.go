package node

import (
	"context"
	"sync"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// parts is what has come of large changes and frames, for all links of a node.
type parts struct {
	mu   sync.Mutex // guards kept
	kept crdtsync.Partials
}

// Partials implements [crdtsync.Keeper].
func (l locals) Partials(fn func(*crdtsync.Partials)) {
	p := &l.node.parts
	p.mu.Lock()
	defer p.mu.Unlock()
	fn(&p.kept)
}

// ChangePart implements [crdtsync.Slicer].
func (l locals) ChangePart(space string, d merge.Dot, offset, size int) (part []byte, err error) {
	err = l.node.store.View(l.node.ctx, func(r store.Reader) (err error) {
		part, err = spacestore.ChangePart(r, space, d, offset, size)
		return err
	})
	return part, err
}

// takeLong steps with frames that came in pieces.
func (l *peerLink) takeLong(ctx context.Context, frames [][]byte) error {
	for _, b := range frames {
		f, err := wire.DecodeLong(b)
		if err == nil && f != nil {
			err = l.step(ctx, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sendPieces sends a long frame. Only the writer calls it. A peer that does not
// know pieces does without the frame.
func (l *peerLink) sendPieces(ctx context.Context, frame []byte) error {
	l.mu.Lock()
	known := l.core.Both(crdtsync.FeaturePiece)
	l.mu.Unlock()
	if !known {
		l.node.log.Warn("a frame is too long for the peer, which has to be upgraded", "code", "needs_upgrade", "peer", l.peer.address, "type", wire.Type(frame[0]), "bytes", len(frame))
		return nil
	}
	l.longs++
	for p := range crdtsync.Pieces(l.longs, frame, 0) {
		if err := l.send(ctx, p); err != nil {
			return err
		}
	}
	return nil
}
