package spacestore_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// TestKeysAreKept keeps two keys and reports one that is damaged, or under another
// origin.
func TestKeysAreKept(t *testing.T) {
	s := memstore.New()
	var origins []merge.Origin
	for b := range 2 {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(b)}, ed25519.SeedSize))
		update(t, s, func(tx store.Tx) error { return spacestore.SetKey(tx, key) })
		o := crdtsync.OriginOf(key.Public().(ed25519.PublicKey))
		origins = append(origins, o)
		view(t, s, func(r store.Reader) error {
			keys, err := spacestore.Keys(r)
			if len(keys) != b+1 || !keys[o].Equal(key) {
				t.Errorf("%d keys, want %d", len(keys), b+1)
			}
			return err
		})
	}
	name := func(o merge.Origin) []byte { return append([]byte("key\x00"), o[:]...) }
	for what, value := range map[string][]byte{"short": {1, 2, 3}, "of the other": bytes.Repeat([]byte{1}, ed25519.SeedSize)} {
		update(t, s, func(tx store.Tx) error { return tx.Put("", store.Meta, name(origins[0]), value) })
		err := s.View(t.Context(), func(r store.Reader) error {
			_, err := spacestore.Keys(r)
			return err
		})
		if e, ok := errors.AsType[*store.CorruptError](err); !ok || string(e.Key) != string(name(origins[0])) {
			t.Errorf("%s: Keys = %v, want a CorruptError about the key", what, err)
		}
	}
}

// TestSignedHeadsAreKept keeps the last signed head of an origin, in place of the one
// before, and one of a branch, and reports what is damaged.
func TestSignedHeadsAreKept(t *testing.T) {
	s := memstore.New()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	o := crdtsync.OriginOf(key.Public().(ed25519.PublicKey))
	sign := func(seq uint64) crdtsync.SignedHead {
		return crdtsync.SignHead(name, crdtsync.Known{Dot: merge.Dot{Origin: o, Seq: seq}, Hash: crdtsync.Hash{byte(seq)}}, key)
	}
	first := crdtsync.Known{Dot: merge.Dot{Origin: o, Seq: 2}, Hash: crdtsync.Hash{9}}
	update(t, s, func(tx store.Tx) error {
		return errors.Join(
			spacestore.SetSigned(tx, name, crdtsync.Known{}, sign(1)), spacestore.SetSigned(tx, name, crdtsync.Known{}, sign(300)),
			spacestore.SetSigned(tx, name, first, sign(3)))
	})
	view(t, s, func(r store.Reader) error {
		got, err := spacestore.Signed(r, name)
		if err != nil {
			return err
		}
		if h, ok := got.Branch(first); got.Last(o) != sign(300) || !ok || h != sign(3) {
			t.Errorf("last %v, branch %v, %t, want 300 and 3", got.Last(o).Dot, h.Dot, ok)
		}
		for _, h := range []crdtsync.SignedHead{got.Last(o), sign(3)} {
			if err := h.Verify(name); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	update(t, s, func(tx store.Tx) error { return spacestore.DropSigned(tx, name, o) })
	view(t, s, func(r store.Reader) error {
		got, err := spacestore.Signed(r, name)
		if _, ok := got.Branch(first); err != nil || got.Last(o).Dot.Seq != 0 || !ok {
			t.Errorf("last %v, branch %t, after the last one was dropped", got.Last(o).Dot, ok)
		}
		return err
	})
	stored := append([]byte("signed\x00"), o[:]...)
	for _, value := range [][]byte{nil, {1, 2}, bytes.Repeat([]byte{1}, 130)} {
		update(t, s, func(tx store.Tx) error { return tx.Put(name, store.Meta, stored, value) })
		err := s.View(t.Context(), func(r store.Reader) error {
			_, err := spacestore.Signed(r, name)
			return err
		})
		if e, ok := errors.AsType[*store.CorruptError](err); !ok || string(e.Key) != string(stored) {
			t.Errorf("%d bytes: Signed = %v, want a CorruptError about the head", len(value), err)
		}
	}
}
