package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tick is the unit of /proc/*/stat.
const tick = 10 * time.Millisecond

// CPU returns the processor time that the server and its processes have used,
// 0 where the system does not tell.
func (s *Server) CPU() (used time.Duration) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // the process has ended
		}
		pid := filepath.Base(filepath.Dir(path))
		_, rest, _ := strings.Cut(string(b), ") ")
		f := strings.Fields(rest)
		switch server := fmt.Sprint(s.cmd.Process.Pid); {
		case len(f) < 15:
		case pid == server:
			used += ticks(f[11:15]) // its own and that of those it has waited for
		case f[1] == server:
			used += ticks(f[11:13])
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
