//go:build !unix

package pgtest

import (
	"os"
	"os/exec"
)

// own leaves a directory as it is.
func own(string) error { return nil }

// stop leaves a process as it is.
func stop(*os.Process) error { return nil }

// demote leaves cmd as it is.
func demote(*exec.Cmd) {}
