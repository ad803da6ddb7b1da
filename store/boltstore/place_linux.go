package boltstore

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// identify finds the numbers of a file's device and of the file on it, and when
// it was made, as far as the file system tells.
func (w *whereabouts) identify(path string) error {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil {
		return fmt.Errorf("statx %s: %w", path, err)
	}
	w.Device, w.File = unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino
	if st.Mask&unix.STATX_BTIME != 0 {
		w.Born = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return nil
}
