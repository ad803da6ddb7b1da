package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/internal/overlay"
)

// sumSize is the length of the checksum behind each value, in bytes.
const sumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Causes of a CorruptError.
var (
	errNoRecord = errors.New("not a record")
	errChecksum = errors.New("checksum does not match")
	errOrder    = errors.New("keys are not in order")
)

// A spaceSum is the checksum of a space's name, with which the checksums of
// its records begin.
type spaceSum struct {
	space []byte
	sum   uint32
}

// sumOf returns the spaceSum of a space. It retains the name.
func sumOf(space []byte) spaceSum {
	return spaceSum{space, crc32.Update(uint32(len(space)), castagnoli, space)}
}

// of returns the checksum of a record.
func (s spaceSum) of(inner, value []byte) uint32 {
	sum := crc32.Update(s.sum, castagnoli, inner)
	return crc32.Update(sum, castagnoli, value)
}

// seal returns what is stored for an entry: its value and a checksum.
func seal(e overlay.Entry) []byte {
	sum := sumOf(e.Key().Space()).of(e.Key().Inner(), e.Value())
	return binary.BigEndian.AppendUint32(e.Slack(), sum)
}

// unseal returns the value, a part of raw, of the record with an inner key.
func unseal(s spaceSum, inner, raw []byte) ([]byte, error) {
	n := len(raw) - sumSize
	if n < 0 || len(inner) == 0 {
		return nil, corruptRecord(s, inner, errNoRecord)
	}
	if s.of(inner, raw[:n]) != binary.BigEndian.Uint32(raw[n:]) {
		return nil, corruptRecord(s, inner, errChecksum)
	}
	return raw[:n:n], nil
}

// corruptRecord returns the error about a record.
func corruptRecord(s spaceSum, inner []byte, err error) error {
	e := &store.CorruptError{Space: string(s.space), Offset: -1, Err: err}
	if len(inner) > 0 {
		e.Table, e.Key = store.Table(inner[0]), bytes.Clone(inner[1:])
	}
	return e
}

// corrupt returns the error about what k names, which may be a prefix or nil.
func corrupt(k overlay.Key, err error) error {
	if k == nil {
		return &store.CorruptError{Offset: -1, Err: err}
	}
	return corruptRecord(spaceSum{space: k.Space()}, k.Inner(), err)
}
