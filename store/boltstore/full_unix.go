//go:build linux || darwin || freebsd

package boltstore

import (
	"errors"
	"syscall"
)

// fullErrors are what writes beyond the disk, a quota or a limit end with.
var fullErrors = []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}

// diskFree returns the bytes that an ordinary user may still write to the disk
// of path.
func diskFree(path string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(path, &fs); err != nil {
		return 0, err
	}
	if fs.Blocks == 0 {
		return 0, errors.ErrUnsupported // it does not count
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil //nolint:unconvert // the types differ between systems
}
