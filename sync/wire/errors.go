package wire

import (
	"errors"
	"fmt"
)

// ErrFrame is the kind of every [*FrameError].
var ErrFrame = errors.New("wire: bad frame")

// A FrameError reports bytes that are not a frame of the protocol, or a frame
// that has no bytes.
type FrameError struct {
	Type    Type // 0 if it is not known
	Problem string
}

// Error names the frame and the problem.
func (e *FrameError) Error() string {
	if e.Type == 0 {
		return "wire: frame: " + e.Problem
	}
	return fmt.Sprintf("wire: %s frame: %s", e.Type, e.Problem)
}

// Is makes a FrameError match [ErrFrame].
func (e *FrameError) Is(target error) bool { return target == ErrFrame }
