package boltstore

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// fullErrors are what writes beyond the disk or a quota end with.
var fullErrors = []syscall.Errno{windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED}

// diskFree returns the bytes that this user may still write to the disk of
// path.
func diskFree(path string) (int64, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	var free uint64
	err = windows.GetDiskFreeSpaceEx(name, &free, nil, nil)
	return int64(min(free, 1<<62)), err
}
