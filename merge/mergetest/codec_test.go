package mergetest_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/joinery-crdt/joinery/merge/mergetest"
)

// label is bytes with a length before them.
type label struct{ text []byte }

func (l label) Equal(o label) bool { return bytes.Equal(l.text, o.text) }
func (l label) MarshalBinary() ([]byte, error) {
	return append([]byte{byte(len(l.text))}, l.text...), nil
}

var errLabel = errors.New("not a label")

func decodeLabel(b []byte) (label, error) {
	if len(b) == 0 || int(b[0]) != len(b)-1 {
		return label{}, errLabel
	}
	return label{bytes.Clone(b[1:])}, nil
}

func TestCodec(t *testing.T) {
	for _, text := range []string{"", "a", "hello"} {
		if err := mergetest.Codec(label{[]byte(text)}, decodeLabel); err != nil {
			t.Errorf("Codec(%q) = %v", text, err)
		}
	}
}

func TestCodecRejects(t *testing.T) {
	tests := []struct {
		name   string
		decode func([]byte) (label, error)
		want   mergetest.Law
	}{
		{"wrong value", func([]byte) (label, error) { return label{[]byte("else")}, nil }, mergetest.RoundTrip},
		{"refusal", func([]byte) (label, error) { return label{}, errLabel }, mergetest.RoundTrip},
		{"alias", func(b []byte) (label, error) { return label{b[1:]}, nil }, mergetest.Aliasing},
		{"short input", func(b []byte) (label, error) {
			if len(b) > 0 && int(b[0]) < len(b)-1 {
				return label{}, errLabel
			}
			return label{bytes.Clone(b[min(1, len(b)):])}, nil
		}, mergetest.Truncated},
		{"long input", func(b []byte) (label, error) {
			if len(b) == 0 || int(b[0]) > len(b)-1 {
				return label{}, errLabel
			}
			return label{bytes.Clone(b[1 : 1+b[0]])}, nil
		}, mergetest.Trailing},
		{"two encodings", func(b []byte) (label, error) {
			if len(b) == 0 || int(b[0]&0x7f) != len(b)-1 {
				return label{}, errLabel
			}
			return label{bytes.Clone(b[1:])}, nil
		}, mergetest.Canonical},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wantLaw(t, mergetest.Codec(label{[]byte("hello")}, test.decode), test.want)
		})
	}
}

// versioned encodes a version that decoding forgets.
type versioned struct{ version, n byte }

func (v *versioned) Equal(o *versioned) bool                 { return v.n == o.n }
func (v *versioned) AppendBinary(dst []byte) ([]byte, error) { return append(dst, v.version, v.n), nil }

func decodeVersioned(b []byte) (*versioned, error) {
	if len(b) != 2 {
		return nil, errLabel
	}
	return &versioned{0, b[1]}, nil
}

func TestCodecRejectsOtherBytes(t *testing.T) {
	wantLaw(t, mergetest.Codec(&versioned{1, 2}, decodeVersioned), mergetest.Canonical)
}

// unencodable refuses to be encoded.
type unencodable struct{}

func (unencodable) Equal(unencodable) bool         { return true }
func (unencodable) MarshalBinary() ([]byte, error) { return nil, errLabel }

func TestCodecOfFailingEncoder(t *testing.T) {
	err := mergetest.Codec(unencodable{}, func([]byte) (unencodable, error) { return unencodable{}, nil })
	wantLaw(t, err, mergetest.RoundTrip)
}

func TestCodecWithoutEncoding(t *testing.T) {
	err := mergetest.Codec(&bits{}, func(b []byte) (*bits, error) { return &bits{binary.BigEndian.Uint64(b)}, nil })
	if !errors.Is(err, mergetest.ErrNoEncoding) {
		t.Errorf("Codec of a type without bytes = %v, want ErrNoEncoding", err)
	}
}
