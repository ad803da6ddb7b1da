package wire

import (
	"fmt"

	"github.com/klauspost/compress/s2"
)

// FlagS2 marks a frame whose body is compressed: its body is an S2 block that
// holds the body of the same frame without the flag. See [Compress].
const FlagS2 = 2

// A compressed frame pays if it is not small and saves an eighth (ADR 0019).
const (
	leastCompressed = 1 << 10 // bytes of a frame
	leastSaved      = 8       // of which one part is saved
)

// Compress returns the compressed form of a frame that Append has made, or the
// frame itself where that does not pay. The result may be the argument, which it
// does not modify. Frames know nothing of each other.
func Compress(frame []byte) []byte {
	if len(frame) < leastCompressed || frame[1]&FlagS2 != 0 {
		return frame
	}
	body := frame[headerSize:]
	out := make([]byte, headerSize+s2.MaxEncodedLen(len(body)))
	out[0], out[1] = frame[0], frame[1]|FlagS2
	out = out[:headerSize+len(s2.Encode(out[headerSize:], body))]
	if len(out) > len(frame)-len(frame)/leastSaved {
		return frame
	}
	return out
}

// expand returns a compressed frame as it was, of at most limit bytes. It makes
// room for no more than that, whatever the block claims.
func expand(b []byte, limit int) ([]byte, error) {
	t, block := Type(b[0]), b[headerSize:]
	n, err := s2.DecodedLen(block)
	switch {
	case err != nil:
		return nil, &FrameError{t, err.Error()}
	case n > limit-headerSize:
		return nil, &FrameError{t, fmt.Sprintf("%d bytes when expanded, the limit is %d", n, limit-headerSize)}
	case n <= len(block):
		return nil, &FrameError{t, "compressed, and no shorter for it"}
	}
	frame := make([]byte, headerSize+n)
	frame[0], frame[1] = b[0], b[1]&^FlagS2
	body, err := s2.Decode(frame[headerSize:], block)
	if err != nil {
		return nil, &FrameError{t, err.Error()}
	}
	return frame[:headerSize+len(body)], nil
}
