package node

import (
	"fmt"

	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// maxEarlyBytes is what a peer may send before it is admitted.
const maxEarlyBytes = 64 << 10

// budget counts what comes before the peer is admitted, and ends the link when
// it is too much.
func (l *peerLink) budget(size int) error {
	if l.node.cfg.Verify == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.core.Admitted() {
		return nil
	}
	if l.early += size; l.early > maxEarlyBytes {
		return fmt.Errorf("node: the peer sent %d bytes before it was admitted, the limit is %d", l.early, maxEarlyBytes)
	}
	return nil
}

// verify checks a credential of the peer.
func (l *peerLink) verify(a *crdtsync.Auth) error {
	if a == nil {
		return nil
	}
	grant, err := l.node.cfg.Verify(l.hello(), *a)
	l.mu.Lock()
	var r crdtsync.Ready
	if err != nil {
		r = l.core.Deny(err.Error())
	} else {
		r = l.core.Admit(grant)
	}
	l.mu.Unlock()
	return l.queue(r)
}
