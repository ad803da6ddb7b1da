package boltstore

import "syscall"

// identify finds the numbers of a file's device and of the file on it, and when
// it was made.
func (w *whereabouts) identify(path string) error {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return err
	}
	w.Device, w.File, w.Born = uint64(st.Dev), st.Ino, st.Birthtimespec.Nano()
	return nil
}
