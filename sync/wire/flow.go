package wire

import crdtsync "github.com/joinery-crdt/joinery/sync"

type goaway struct {
	Code   string `cbor:"1,keyasint"`
	After  uint64 `cbor:"2,keyasint"`
	Reason string `cbor:"3,keyasint"`
}

func (b *goaway) check() error { return checkRefusal(b.Code, b.Reason) }

func (b *goaway) frame() crdtsync.Frame {
	return &crdtsync.Goaway{Code: b.Code, After: b.After, Reason: b.Reason}
}

type queued struct {
	Place uint64 `cbor:"1,keyasint"`
}

func (b *queued) check() error          { return nil }
func (b *queued) frame() crdtsync.Frame { return &crdtsync.Queued{Place: b.Place} }
