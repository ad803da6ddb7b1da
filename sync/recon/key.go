package recon

import (
	"encoding/binary"
	"math/bits"
)

// A Key makes checksums and positions unpredictable to whoever chooses items.
// The side that will decode draws a new one for each comparison; a sketch that
// is kept needs one that is kept with it, and secret from those who write.
type Key [16]byte

// sipState is SipHash-1-3 after it has taken in its key.
type sipState struct{ v0, v1, v2, v3 uint64 }

func (k Key) sip() sipState {
	a, b := binary.LittleEndian.Uint64(k[:8]), binary.LittleEndian.Uint64(k[8:])
	return sipState{a ^ 0x736f6d6570736575, b ^ 0x646f72616e646f6d, a ^ 0x6c7967656e657261, b ^ 0x7465646279746573}
}

// hash is the hash of the words given, 8 bytes each.
func (s sipState) hash(words ...uint64) uint64 {
	for _, w := range words {
		s.word(w)
	}
	s.word(uint64(8*len(words)) << 56)
	s.v2 ^= 0xff
	s.round()
	s.round()
	s.round()
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

func (s *sipState) word(w uint64) {
	s.v3 ^= w
	s.round()
	s.v0 ^= w
}

func (s *sipState) round() {
	s.v0 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v2 = bits.RotateLeft64(s.v2, 32)
}
