package mergetest

import (
	"bytes"
	"errors"
)

// ErrNoEncoding says that the value given to Codec has no binary form.
var ErrNoEncoding = errors.New("mergetest: the type has neither AppendBinary nor MarshalBinary")

// Codec returns a [*LawError] unless v survives its own encoding, from
// AppendBinary or MarshalBinary, and decode: the value comes back equal
// (RoundTrip); it keeps no part of the bytes (Aliasing); every strict prefix is
// an error (Truncated), and so are bytes behind (Trailing); and of all bytes that
// differ from the encoding in one place, decode takes only such as encode back to
// themselves (Canonical). It takes about 5 len decodings.
//
// Without an encoding it returns [ErrNoEncoding].
func Codec[V interface{ Equal(V) bool }](v V, decode func([]byte) (V, error)) error {
	b, ok, err := encode(v)
	if !ok {
		return ErrNoEncoding
	}
	if err != nil {
		return breach[V](RoundTrip, "v", v, "error of its encoding", err)
	}
	for _, law := range []func(V, []byte, func([]byte) (V, error)) error{
		roundTrip[V], truncated[V], trailing[V], oneEncoding[V],
	} {
		if err := law(v, b, decode); err != nil {
			return err
		}
	}
	return nil
}

func roundTrip[V interface{ Equal(V) bool }](v V, b []byte, decode func([]byte) (V, error)) error {
	buf := bytes.Clone(b)
	got, err := decode(buf)
	if err != nil {
		return breach[V](RoundTrip, "v", v, "bytes", b, "error", err)
	}
	if !got.Equal(v) || !v.Equal(got) {
		return breach[V](RoundTrip, "v", v, "bytes", b, "decoded", got)
	}
	if again, _, err := encode(got); err != nil || !bytes.Equal(again, b) {
		return breach[V](Canonical, "v", v, "bytes", b, "bytes of the decoded value", again, "error", err)
	}
	before := Show(got)
	for i := range buf {
		buf[i] ^= 0xff
	}
	if Show(got) != before {
		return breach[V](Aliasing, "decoded", verbatim(before), "after the bytes were overwritten", got)
	}
	return nil
}

func truncated[V any](_ V, b []byte, decode func([]byte) (V, error)) error {
	for n := range b {
		if got, err := decode(bytes.Clone(b[:n])); err == nil {
			return breach[V](Truncated, "bytes", b, "prefix", b[:n], "decoded", got)
		}
	}
	return nil
}

func trailing[V any](_ V, b []byte, decode func([]byte) (V, error)) error {
	for _, tail := range [][]byte{{0}, {1}, {0xff}, b} {
		long := append(bytes.Clone(b), tail...)
		if got, err := decode(long); err == nil && len(tail) > 0 {
			return breach[V](Trailing, "bytes", b, "with more behind", long, "decoded", got)
		}
	}
	return nil
}

func oneEncoding[V any](_ V, b []byte, decode func([]byte) (V, error)) error {
	for i := range b {
		for _, flip := range []byte{0x01, 0x80, b[i], ^b[i]} {
			other := bytes.Clone(b)
			other[i] ^= flip
			got, err := decode(bytes.Clone(other))
			if err != nil {
				continue
			}
			if again, _, err := encode(got); err != nil || !bytes.Equal(again, other) {
				return breach[V](Canonical, "bytes", other, "decoded", got, "encoded again", again, "error", err)
			}
		}
	}
	return nil
}
