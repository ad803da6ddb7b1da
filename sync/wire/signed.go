package wire

import (
	"cmp"
	"fmt"

	crdtsync "github.com/joinery-crdt/joinery/sync"
)

type signed struct {
	Space string   `cbor:"1,keyasint"`
	Heads [][]byte `cbor:"2,keyasint"`
	Print uint64   `cbor:"3,keyasint"`
}

func (b *signed) check() error {
	_, err := readSigned(b.Heads)
	return cmp.Or(checkSpace(b.Space), err)
}

func (b *signed) frame() crdtsync.Frame {
	heads, _ := readSigned(b.Heads)
	return &crdtsync.Signed{Space: b.Space, Heads: heads, Print: b.Print}
}

// appendSigned returns each head as dot, hash, key and signature.
func appendSigned(heads []crdtsync.SignedHead) (out [][]byte) {
	for _, h := range heads {
		b := append(appendDot(h.Dot), h.Hash[:]...)
		out = append(out, append(append(b, h.Key[:]...), h.Signature[:]...))
	}
	return out
}

func readSigned(list [][]byte) (heads []crdtsync.SignedHead, err error) {
	if len(list) > crdtsync.MaxSigned {
		return nil, fmt.Errorf("%d signed heads, the limit is %d", len(list), crdtsync.MaxSigned)
	}
	for i, b := range list {
		var h crdtsync.SignedHead
		dot := len(b) - len(h.Hash) - len(h.Key) - len(h.Signature)
		if dot < 0 {
			return nil, fmt.Errorf("a signed head of %d bytes", len(b))
		}
		if h.Dot, err = readDot(b[:dot]); err != nil {
			return nil, err
		}
		rest := b[dot:]
		rest = rest[copy(h.Hash[:], rest):]
		copy(h.Signature[:], rest[copy(h.Key[:], rest):])
		if i > 0 && heads[i-1].Known.Compare(h.Known) >= 0 {
			return nil, fmt.Errorf("signed head %d out of order", i)
		}
		heads = append(heads, h)
	}
	return heads, nil
}
