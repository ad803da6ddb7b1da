package spacestore

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

var (
	privateKey = []byte("key\x00")    // prefix; then the origin that belongs to it
	signedKey  = []byte("signed\x00") // prefix; then the origin; then, of a branch, number and hash of its first change
)

// Keys returns the keys to which origins of the store's node belong.
func Keys(r store.Reader) (map[merge.Origin]ed25519.PrivateKey, error) {
	keys := make(map[merge.Origin]ed25519.PrivateKey)
	for rec, err := range r.Scan("", store.Meta, store.Range{Prefix: privateKey}) {
		if err != nil {
			return nil, err
		}
		if len(rec.Value) != ed25519.SeedSize {
			return nil, corrupt("", store.Meta, rec.Key, errors.New("not a key"))
		}
		key := ed25519.NewKeyFromSeed(slices.Clone(rec.Value))
		o := crdtsync.OriginOf(key.Public().(ed25519.PublicKey))
		if string(rec.Key[len(privateKey):]) != string(o[:]) {
			return nil, corrupt("", store.Meta, rec.Key, errors.New("not the key of the origin"))
		}
		keys[o] = key
	}
	return keys, nil
}

// SetKey keeps the key of an origin of the store's node. It is a secret: whoever has
// it can sign as the origin.
func SetKey(tx store.Tx, key ed25519.PrivateKey) error {
	o := crdtsync.OriginOf(key.Public().(ed25519.PublicKey))
	return tx.Put("", store.Meta, slices.Concat(privateKey, o[:]), key.Seed())
}

// SetSigned keeps the last signed head of an origin in a space, or, if branch is not
// zero, one that covers the change with which a branch of a fork begins.
func SetSigned(tx store.Tx, space string, branch crdtsync.Known, h crdtsync.SignedHead) error {
	key := slices.Concat(signedKey, h.Dot.Origin[:])
	if branch.Dot.Seq > 0 {
		key = append(binary.BigEndian.AppendUint64(key, branch.Dot.Seq), branch.Hash[:]...)
	}
	value := slices.Concat(binary.AppendUvarint(nil, h.Dot.Seq), h.Hash[:], h.Key[:], h.Signature[:])
	return tx.Put(space, store.Meta, key, value)
}

// DropSigned forgets the last signed head of an origin in a space.
func DropSigned(tx store.Tx, space string, o merge.Origin) error {
	return tx.Delete(space, store.Meta, slices.Concat(signedKey, o[:]))
}

// Signed returns the signed heads that a space keeps.
func Signed(r store.Reader, space string) (*crdtsync.Signatures, error) {
	s := new(crdtsync.Signatures)
	for rec, err := range r.Scan(space, store.Meta, store.Range{Prefix: signedKey}) {
		if err != nil {
			return nil, err
		}
		branch, h, err := readSigned(rec)
		if err != nil {
			return nil, corrupt(space, store.Meta, rec.Key, err)
		}
		s.Restore(branch, h)
	}
	return s, nil
}

func readSigned(rec store.Record) (branch crdtsync.Known, h crdtsync.SignedHead, err error) {
	key := varint.NewReader("name of a signed head", rec.Key[len(signedKey):])
	value := varint.NewReader("signed head", rec.Value)
	copy(h.Dot.Origin[:], key.Fixed(len(h.Dot.Origin)))
	if key.Len() > 0 {
		branch.Dot.Origin = h.Dot.Origin
		if seq := key.Fixed(8); seq != nil {
			branch.Dot.Seq = binary.BigEndian.Uint64(seq)
		}
		copy(branch.Hash[:], key.Fixed(len(branch.Hash)))
	}
	h.Dot.Seq = value.Uvarint()
	copy(h.Hash[:], value.Fixed(len(h.Hash)))
	copy(h.Key[:], value.Fixed(len(h.Key)))
	copy(h.Signature[:], value.Fixed(len(h.Signature)))
	return branch, h, errors.Join(key.Done(), value.Done())
}
