package boltstore

import (
	"os"
	"syscall"
)

// identify finds when a file was made.
func (w *whereabouts) identify(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if d, ok := info.Sys().(*syscall.Win32FileAttributeData); ok {
		w.Born = d.CreationTime.Nanoseconds()
	}
	return nil
}
