//go:build !(linux || darwin || freebsd || windows)

package boltstore

import (
	"errors"
	"syscall"
)

// fullErrors is what writes beyond the disk end with.
var fullErrors = []syscall.Errno{syscall.ENOSPC}

// diskFree is unknown here.
func diskFree(string) (int64, error) { return 0, errors.ErrUnsupported }
