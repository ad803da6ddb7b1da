//go:build unix && !solaris && !aix

package boltstore

import (
	"os"

	"golang.org/x/sys/unix"
)

// unlock gives up the lock of bbolt on a file.
func unlock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_UN) }
