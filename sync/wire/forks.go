package wire

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// forksBody is bodyOf for the frames about chains.
func forksBody(f crdtsync.Frame) (Type, body) {
	switch f := f.(type) {
	case *crdtsync.Chains:
		return TypeChains, &chains{f.Space, f.Print[:]}
	case *crdtsync.Heads:
		return TypeHeads, &heads{f.Space, f.N, appendKnown(f.Known)}
	case *crdtsync.Ask:
		return TypeAsk, &ask{f.Space, f.N, appendDots(f.Dots)}
	case *crdtsync.Forked:
		return TypeForked, &forked{f.Space, f.Change}
	case *crdtsync.Signed:
		return TypeSigned, &signed{f.Space, appendSigned(f.Heads), f.Print}
	}
	return 0, nil
}

// newForksBody is newBody for the frames about chains.
func newForksBody(t Type) linkBody {
	switch t {
	case TypeChains:
		return &chains{}
	case TypeHeads:
		return &heads{}
	case TypeAsk:
		return &ask{}
	case TypeForked:
		return &forked{}
	case TypeSigned:
		return &signed{}
	}
	return nil
}

type chains struct {
	Space string `cbor:"1,keyasint"`
	Print []byte `cbor:"2,keyasint"`
}

func (b *chains) check() error {
	if len(b.Print) != len(crdtsync.ChainPrint{}) {
		return fmt.Errorf("a print of %d bytes", len(b.Print))
	}
	return checkSpace(b.Space)
}

func (b *chains) frame() crdtsync.Frame {
	return &crdtsync.Chains{Space: b.Space, Print: crdtsync.ChainPrint(b.Print)}
}

type heads struct {
	Space string   `cbor:"1,keyasint"`
	N     uint64   `cbor:"2,keyasint"`
	Known [][]byte `cbor:"3,keyasint"`
}

func (b *heads) check() error {
	if len(b.Known) > crdtsync.MaxHeads {
		return fmt.Errorf("%d heads, the limit is %d", len(b.Known), crdtsync.MaxHeads)
	}
	_, err := readHashes(b.Known)
	return cmp.Or(checkSpace(b.Space), err)
}

func (b *heads) frame() crdtsync.Frame {
	known, _ := readHashes(b.Known)
	return &crdtsync.Heads{Space: b.Space, N: b.N, Known: known}
}

type ask struct {
	Space string   `cbor:"1,keyasint"`
	N     uint64   `cbor:"2,keyasint"`
	Dots  [][]byte `cbor:"3,keyasint"`
}

func (b *ask) check() error {
	_, err := readDots(b.Dots)
	if b.N == 0 {
		err = errors.New("question 0")
	}
	return cmp.Or(checkSpace(b.Space), err)
}

func (b *ask) frame() crdtsync.Frame {
	dots, _ := readDots(b.Dots)
	return &crdtsync.Ask{Space: b.Space, N: b.N, Dots: dots}
}

func appendDots(dots []merge.Dot) (out [][]byte) {
	for _, d := range dots {
		out = append(out, appendDot(d))
	}
	return out
}

func readDots(list [][]byte) (dots []merge.Dot, err error) {
	if len(list) == 0 || len(list) > crdtsync.MaxAsk {
		return nil, fmt.Errorf("%d dots, 1 to %d are possible", len(list), crdtsync.MaxAsk)
	}
	for i, b := range list {
		d, err := readDot(b)
		if err != nil {
			return nil, err
		}
		if i > 0 && dots[i-1].Compare(d) >= 0 {
			return nil, fmt.Errorf("dot %d out of order", i)
		}
		dots = append(dots, d)
	}
	return dots, nil
}

type forked struct {
	Space  string `cbor:"1,keyasint"`
	Change []byte `cbor:"2,keyasint"`
}

func (b *forked) check() error {
	if len(b.Change) > crdtsync.MaxChange {
		return fmt.Errorf("a change of %d bytes, the limit is %d", len(b.Change), crdtsync.MaxChange)
	}
	return checkSpace(b.Space)
}

func (b *forked) frame() crdtsync.Frame {
	return &crdtsync.Forked{Space: b.Space, Change: b.Change}
}
