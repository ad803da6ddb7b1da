package simnet

import (
	"fmt"
	"strings"
)

// A trace is what a run tells about itself, a line an event.
type trace struct {
	lines []string
	ended bool // with a violation
}

// tell adds a line to the trace, if there is one. n is who acts, nil for the
// world.
func (w *world) tell(n *node, format string, args ...any) {
	if w.trace == nil || w.trace.ended {
		return
	}
	who := "world"
	if n != nil {
		who = n.name()
	}
	line := fmt.Sprintf("%9.3fs  %-5s  %s", float64(w.now)/1000, who, fmt.Sprintf(format, args...))
	w.trace.lines = append(w.trace.lines, line)
}

// String describes an op.
func (op Op) String() string {
	object := fmt.Sprintf("%s %q", op.Kind, op.Object)
	switch op.Do {
	case Add:
		return fmt.Sprintf("add %q to %s", op.Element, object)
	case Remove:
		return fmt.Sprintf("remove %q from %s", op.Element, object)
	case Set:
		return fmt.Sprintf("set %s to %s", object, op.value())
	case Count:
		return fmt.Sprintf("count %+d on %s", op.N, object)
	}
	return fmt.Sprintf("%s %s", op.Do, object)
}

func describeOps(ops []Op) string {
	parts := make([]string, len(ops))
	for i, op := range ops {
		parts[i] = op.String()
	}
	return strings.Join(parts, "; ")
}
