//go:build unix

package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	osuser "os/user"
	"strconv"
	"syscall"
)

// The server refuses to run as root. Tests that do lend it one of these users.
var unprivileged = []string{"postgres", "nobody"}

// servant returns the ids to run the server as, nil for the test's own.
func servant() *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range unprivileged {
		u, err := osuser.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.ParseUint(u.Uid, 10, 32)
		gid, errG := strconv.ParseUint(u.Gid, 10, 32)
		if errU == nil && errG == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return nil
}

// own gives a directory to the server's user.
func own(dir string) error {
	if c := servant(); c != nil {
		if err := os.Chown(dir, int(c.Uid), int(c.Gid)); err != nil {
			return fmt.Errorf("pgtest: %w", err)
		}
	}
	return nil
}

// stop lets a process do nothing more.
func stop(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

// demote makes cmd run as the server's user, apart from the terminal's signals.
func demote(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: servant()}
}
