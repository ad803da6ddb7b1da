package wire

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// controlBody is bodyOf for the frames of the control plane.
func controlBody(f crdtsync.Frame) (Type, body) {
	switch f := f.(type) {
	case *crdtsync.Auth:
		return TypeAuth, &auth{f.Scheme, f.Credential}
	case *crdtsync.AuthUpdate:
		return TypeAuthUpdate, &authUpdate{auth{f.Scheme, f.Credential}}
	case *crdtsync.Explain:
		return TypeExplain, &explain{f.N, f.Space, appendDot(f.Dot)}
	case *crdtsync.Explained:
		return TypeExplained, &explained{f.N, f.State, cut(f.Reason), f.Head, appendMissing(f.Missing)}
	case *crdtsync.Unsubscribe:
		return TypeUnsubscribe, &unsubscribe{f.Space}
	case *crdtsync.Revoked:
		return TypeRevoked, &revoked{f.Space, f.Code, cut(f.Reason)}
	case *crdtsync.Need:
		return TypeNeed, &need{f.Space, appendRanges(f.Ranges)}
	case *crdtsync.Credit:
		return TypeCredit, &credit{f.Space, f.Changes, f.Bytes}
	}
	return partBody(f)
}

// newControlBody is newBody for the frames of the control plane.
func newControlBody(t Type) linkBody {
	switch t {
	case TypeAuth:
		return &auth{}
	case TypeAuthUpdate:
		return &authUpdate{}
	case TypeExplain:
		return &explain{}
	case TypeExplained:
		return &explained{}
	case TypeUnsubscribe:
		return &unsubscribe{}
	case TypeRevoked:
		return &revoked{}
	case TypeNeed:
		return &need{}
	case TypeCredit:
		return &credit{}
	}
	return newPartBody(t)
}

type auth struct {
	Scheme     string `cbor:"1,keyasint"`
	Credential []byte `cbor:"2,keyasint"`
}

func (b *auth) check() error {
	if len(b.Credential) > crdtsync.MaxCredential {
		return fmt.Errorf("a credential of %d bytes, the limit is %d", len(b.Credential), crdtsync.MaxCredential)
	}
	return checkCode(b.Scheme)
}

func (b *auth) frame() crdtsync.Frame {
	return &crdtsync.Auth{Scheme: b.Scheme, Credential: b.Credential}
}

type authUpdate struct{ auth }

func (b *authUpdate) frame() crdtsync.Frame {
	return &crdtsync.AuthUpdate{Scheme: b.Scheme, Credential: b.Credential}
}

type explain struct {
	N     uint64 `cbor:"1,keyasint"`
	Space string `cbor:"2,keyasint"`
	Dot   []byte `cbor:"3,keyasint"`
}

func (b *explain) check() error {
	_, err := readDot(b.Dot)
	return cmp.Or(checkSpace(b.Space), err)
}

func (b *explain) frame() crdtsync.Frame {
	dot, _ := readDot(b.Dot)
	return &crdtsync.Explain{N: b.N, Space: b.Space, Dot: dot}
}

type explained struct {
	N       uint64 `cbor:"1,keyasint"`
	State   string `cbor:"2,keyasint"`
	Reason  string `cbor:"3,keyasint"`
	Head    uint64 `cbor:"4,keyasint"`
	Missing []byte `cbor:"5,keyasint"`
}

func (b *explained) check() error {
	_, err := readMissing(b.Missing)
	if b.Head > merge.MaxSeq {
		err = fmt.Errorf("a sequence number beyond the limit: %d", b.Head)
	}
	return cmp.Or(checkRefusal(b.State, b.Reason), err)
}

func (b *explained) frame() crdtsync.Frame {
	missing, _ := readMissing(b.Missing)
	return &crdtsync.Explained{N: b.N, State: b.State, Reason: b.Reason, Head: b.Head, Missing: missing}
}

// appendMissing returns a dot, or nothing for the zero dot.
func appendMissing(d merge.Dot) []byte {
	if d.Seq == 0 {
		return nil
	}
	return appendDot(d)
}

func readMissing(b []byte) (merge.Dot, error) {
	if len(b) == 0 {
		return merge.Dot{}, nil
	}
	return readDot(b)
}

type unsubscribe struct {
	Space string `cbor:"1,keyasint"`
}

func (b *unsubscribe) check() error          { return checkSpace(b.Space) }
func (b *unsubscribe) frame() crdtsync.Frame { return &crdtsync.Unsubscribe{Space: b.Space} }

type revoked struct {
	Space  string `cbor:"1,keyasint"`
	Code   string `cbor:"2,keyasint"`
	Reason string `cbor:"3,keyasint"`
}

func (b *revoked) check() error { return cmp.Or(checkSpace(b.Space), checkRefusal(b.Code, b.Reason)) }

func (b *revoked) frame() crdtsync.Frame {
	return &crdtsync.Revoked{Space: b.Space, Code: b.Code, Reason: b.Reason}
}

type need struct {
	Space  string   `cbor:"1,keyasint"`
	Ranges [][]byte `cbor:"2,keyasint"`
}

func (b *need) check() error {
	_, err := readRanges(b.Ranges)
	return cmp.Or(checkSpace(b.Space), err)
}

func (b *need) frame() crdtsync.Frame {
	ranges, _ := readRanges(b.Ranges)
	return &crdtsync.Need{Space: b.Space, Ranges: ranges}
}

func appendRanges(ranges []crdtsync.Range) (out [][]byte) {
	for _, r := range ranges {
		b := binary.AppendUvarint(r.Origin[:], r.First)
		out = append(out, binary.AppendUvarint(b, r.Last))
	}
	return out
}

func readRanges(list [][]byte) ([]crdtsync.Range, error) {
	if len(list) == 0 || len(list) > crdtsync.MaxRanges {
		return nil, fmt.Errorf("%d ranges, 1 to %d are possible", len(list), crdtsync.MaxRanges)
	}
	ranges := make([]crdtsync.Range, len(list))
	for i, b := range list {
		in := varint.NewReader("range", b)
		r := &ranges[i]
		copy(r.Origin[:], in.Fixed(len(r.Origin)))
		r.First, r.Last = in.Uvarint(), in.Uvarint()
		if r.First == 0 || r.Last < r.First || r.Last > merge.MaxSeq {
			in.Fail("a range of no changes")
		}
		if err := in.Done(); err != nil {
			return nil, err
		}
		if i > 0 && compareRanges(ranges[i-1], *r) >= 0 {
			return nil, fmt.Errorf("range %d out of order", i)
		}
	}
	return ranges, nil
}

// compareRanges orders ranges that do not overlap.
func compareRanges(a, b crdtsync.Range) int {
	if c := a.Origin.Compare(b.Origin); c != 0 {
		return c
	}
	return cmp.Compare(a.Last, b.First-1)
}

type credit struct {
	Space   string `cbor:"1,keyasint"`
	Changes uint64 `cbor:"2,keyasint"`
	Bytes   uint64 `cbor:"3,keyasint"`
}

func (b *credit) check() error { return checkSpace(b.Space) }

func (b *credit) frame() crdtsync.Frame {
	return &crdtsync.Credit{Space: b.Space, Changes: b.Changes, Bytes: b.Bytes}
}

// appendKnown writes a dot and the hash of its change for each origin.
func appendKnown(known []crdtsync.Known) (out [][]byte) {
	for _, k := range known {
		out = append(out, append(appendDot(k.Dot), k.Hash[:]...))
	}
	return out
}

// readKnown reads the heads of different origins.
func readKnown(list [][]byte) ([]crdtsync.Known, error) {
	if len(list) > crdtsync.MaxFormer+1 {
		return nil, fmt.Errorf("heads of %d origins, the limit is %d", len(list), crdtsync.MaxFormer+1)
	}
	known, err := readHashes(list)
	for i := 1; i < len(known); i++ {
		if known[i-1].Dot.Origin == known[i].Dot.Origin {
			return nil, fmt.Errorf("head %d of the same origin as another", i)
		}
	}
	return known, err
}

// readHashes reads dots that ascend and the hashes of their changes.
func readHashes(list [][]byte) ([]crdtsync.Known, error) {
	var known []crdtsync.Known
	for i, b := range list {
		var k crdtsync.Known
		end := len(b) - len(k.Hash)
		if end < 0 {
			return nil, fmt.Errorf("a head of %d bytes", len(b))
		}
		dot, err := readDot(b[:end])
		if err != nil {
			return nil, err
		}
		k.Dot = dot
		copy(k.Hash[:], b[end:])
		if i > 0 && known[i-1].Dot.Compare(dot) >= 0 {
			return nil, fmt.Errorf("head %d out of order", i)
		}
		known = append(known, k)
	}
	return known, nil
}

func appendOrigins(origins []merge.Origin) (out [][]byte) {
	for _, o := range origins {
		out = append(out, o[:])
	}
	return out
}

func readOrigins(list [][]byte, limit int) ([]merge.Origin, error) {
	if len(list) > limit {
		return nil, fmt.Errorf("%d origins, the limit is %d", len(list), limit)
	}
	var origins []merge.Origin
	for i, b := range list {
		if err := checkOrigin(b); err != nil {
			return nil, err
		}
		if i > 0 && string(list[i-1]) >= string(b) {
			return nil, fmt.Errorf("origin %d out of order", i)
		}
		origins = append(origins, merge.Origin(b))
	}
	return origins, nil
}

func appendFeatures(features []string) (out [][]byte) {
	for _, f := range features {
		out = append(out, []byte(f))
	}
	return out
}

func readFeatures(list [][]byte) ([]string, error) {
	if len(list) > crdtsync.MaxFeatures {
		return nil, fmt.Errorf("%d features, the limit is %d", len(list), crdtsync.MaxFeatures)
	}
	var features []string
	for i, b := range list {
		if len(b) == 0 || len(b) > crdtsync.MaxFeature || slices.ContainsFunc(b, notInFeature) {
			return nil, fmt.Errorf("feature %d has an unusable name", i)
		}
		if i > 0 && string(list[i-1]) >= string(b) {
			return nil, fmt.Errorf("feature %d out of order", i)
		}
		features = append(features, string(b))
	}
	return features, nil
}

func notInFeature(c byte) bool {
	return c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9')
}
