package pgtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc/*/stat.
const tick = 10 * time.Millisecond

// A process is one that /proc tells of.
type process struct {
	pid    int
	fields []string // of its stat, from the state on
}

// processes returns the server's first process and its children, none where the
// system does not tell.
func (s *Server) processes() (found []process) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // the process has ended
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		_, rest, _ := strings.Cut(string(b), ") ")
		p := process{pid, strings.Fields(rest)}
		if len(p.fields) > 14 && (pid == s.cmd.Process.Pid || p.fields[1] == strconv.Itoa(s.cmd.Process.Pid)) {
			found = append(found, p)
		}
	}
	return found
}

// CPU returns the processor time that the server and its processes have used,
// 0 where the system does not tell.
func (s *Server) CPU() (used time.Duration) {
	for _, p := range s.processes() {
		if p.pid == s.cmd.Process.Pid {
			used += ticks(p.fields[11:15]) // its own and that of those it has waited for
		} else {
			used += ticks(p.fields[11:13])
		}
	}
	return used
}

// ticks adds numbers up.
func ticks(numbers []string) (sum time.Duration) {
	for _, text := range numbers {
		var n time.Duration
		if _, err := fmt.Sscan(text, &n); err == nil {
			sum += n * tick
		}
	}
	return sum
}

// Kill ends all processes of the server at once, as a power cut ends them, for
// Run to start it again. Where the system does not tell which they are, it ends
// the first, and the others follow.
func (s *Server) Kill() error {
	if s.cmd == nil {
		return nil
	}
	// One that is stopped makes no children and keeps the numbers of those that
	// have ended from being used again.
	if err := stop(s.cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("pgtest: %w", err)
	}
	for _, p := range s.processes() {
		if child, err := os.FindProcess(p.pid); err == nil && p.pid != s.cmd.Process.Pid {
			_ = child.Kill() // it may have ended
		}
	}
	return s.end(os.Kill)
}
