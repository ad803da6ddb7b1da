package exit_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/exit"
)

func TestCode(t *testing.T) {
	cause := errors.New("gone")
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, exit.OK},
		{cause, exit.Failure},
		{exit.With(exit.NotFound, nil), exit.OK},
		{exit.With(exit.NotFound, cause), exit.NotFound},
		{fmt.Errorf("import: %w", exit.With(exit.NotFound, cause)), exit.NotFound},
		{exit.With(exit.Refused, exit.With(exit.NotFound, cause)), exit.Refused},
	} {
		if got := exit.Code(c.err); got != c.want {
			t.Errorf("Code(%v) = %d, want %d", c.err, got, c.want)
		}
	}
	if err := exit.With(exit.Usage, cause); !errors.Is(err, cause) || err.Error() != "gone" {
		t.Errorf("With hides its error: %v", err)
	}
}

// TestCodesAreStable: scripts depend on the numbers.
func TestCodesAreStable(t *testing.T) {
	got := []int{exit.OK, exit.Failure, exit.Usage, exit.Unreachable, exit.NotFound, exit.Refused, exit.Storage}
	for i, code := range got {
		if code != i {
			t.Errorf("code %d is %d now", i, code)
		}
		if !strings.Contains(exit.Table, fmt.Sprintf("  %d  ", i)) {
			t.Errorf("the table has no %d", i)
		}
	}
}
