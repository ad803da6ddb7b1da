package sync

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// FeatureSigned is said in a Hello by a node that takes part in [Signed].
const FeatureSigned = "signed"

// MaxSigned is the number of heads in one Signed frame.
const MaxSigned = 64

// Signed tells of heads that their origins have signed, by dot and hash. It is
// advice: it may be lost, repeated and reordered.
type Signed struct {
	Space string
	Heads []SignedHead // ascending, at most MaxSigned
	Print uint64       // of all that the sender knows: see [Signatures.Print]
}

func (*Signed) frame() {}

// A SignedHead is the word of an origin for which change it has under a number,
// and so, as changes name their predecessors by hash, for all before it. Nobody who
// only passes changes on can make one.
type SignedHead struct {
	Known
	Key       [ed25519.PublicKeySize]byte // to which the origin belongs
	Signature [ed25519.SignatureSize]byte // Ed25519 (RFC 8032)
}

// OriginOf returns the origin that belongs to a key, so that whoever sees the key
// knows whose it is.
func OriginOf(key ed25519.PublicKey) merge.Origin {
	h := sha256.Sum256(append([]byte("joinery origin\n"), key...))
	return merge.Origin(h[:len(merge.Origin{})])
}

// SignHead signs a head of the origin that belongs to the key.
func SignHead(space string, head Known, key ed25519.PrivateKey) SignedHead {
	h := SignedHead{Known: head}
	copy(h.Key[:], key.Public().(ed25519.PublicKey))
	copy(h.Signature[:], ed25519.Sign(key, h.message(space)))
	return h
}

// ErrSignature: a head is not signed by its origin.
var ErrSignature = errors.New("sync: not signed by its origin")

// Verify returns an error that is [ErrSignature] unless the origin has signed the
// head in the space.
func (h *SignedHead) Verify(space string) error {
	if OriginOf(h.Key[:]) != h.Dot.Origin {
		return fmt.Errorf("%w: %s does not belong to the key", ErrSignature, h.Dot)
	}
	if !ed25519.Verify(h.Key[:], h.message(space), h.Signature[:]) {
		return fmt.Errorf("%w: %s", ErrSignature, h.Dot)
	}
	return nil
}

// message is what is signed.
func (h *SignedHead) message(space string) []byte {
	b := varint.AppendString([]byte("joinery head\n"), space)
	b = append(b, h.Dot.Origin[:]...)
	b = binary.BigEndian.AppendUint64(b, h.Dot.Seq)
	return append(b, h.Hash[:]...)
}

// Compare orders by dot and hash.
func (k Known) Compare(other Known) int {
	if c := k.Dot.Compare(other.Dot); c != 0 {
		return c
	}
	return bytes.Compare(k.Hash[:], other.Hash[:])
}
