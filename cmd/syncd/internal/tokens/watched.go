package tokens

import (
	"os"
	"time"
)

// watched is a file that is read again when it has changed. It is not safe for
// concurrent use.
type watched struct {
	path string
	last os.FileInfo // nil if it was not there
	read time.Time   // when
}

// settle is how long a file counts as changing after its last change: two changes
// may have the same time.
const settle = 2 * time.Second

// changed reports whether the file may have changed since the last call.
func (w *watched) changed() bool {
	now, err := os.Stat(w.path)
	if err != nil {
		now = nil
	}
	before, read := w.last, w.read
	w.last, w.read = now, time.Now()
	if now == nil || before == nil {
		return (now == nil) != (before == nil) || read.IsZero()
	}
	return !os.SameFile(before, now) || !before.ModTime().Equal(now.ModTime()) || before.Size() != now.Size() ||
		read.Sub(now.ModTime()) < settle
}
