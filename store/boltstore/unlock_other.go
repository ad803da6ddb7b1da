//go:build !unix || solaris || aix

package boltstore

import "os"

// unlock leaves the lock of bbolt to the end of the file.
func unlock(*os.File) error { return nil }
