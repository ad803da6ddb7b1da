package pgstore

import (
	"bytes"
	"errors"
	"hash/crc32"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/internal/overlay"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errChecksum = errors.New("checksum does not match")

// sumOf returns the checksum of a record: a CRC-32C of its Key, which begins
// with the length of the space's name, and its value.
func sumOf(k overlay.Key, value []byte) int32 {
	return int32(crc32.Update(crc32.Checksum(k, castagnoli), castagnoli, value))
}

// verify checks a record that the server returned.
func verify(k overlay.Key, value []byte, crc int32) error {
	if sumOf(k, value) == crc {
		return nil
	}
	return &store.CorruptError{Space: string(k.Space()), Table: k.Table(), Key: bytes.Clone(k.User()), Offset: -1, Err: errChecksum}
}
