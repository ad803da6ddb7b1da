package property_test

import (
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leanovate/gopter"
)

// defaultChecks is how often a property is tried unless JOINERY_CHECKS says
// otherwise.
const defaultChecks = 50

// parameters returns how to search for counterexamples among values of up to
// size parts, and logs the seed.
func parameters(t *testing.T, size int) *gopter.TestParameters {
	t.Helper()
	seed := fromEnvironment(t, "JOINERY_SEED", time.Now().UnixNano())
	t.Logf("JOINERY_SEED=%d", seed)
	p := gopter.DefaultTestParametersWithSeed(seed)
	p.MinSuccessfulTests = int(min(fromEnvironment(t, "JOINERY_CHECKS", defaultChecks), math.MaxInt32))
	p.MaxSize = size
	return p
}

func fromEnvironment(t *testing.T, name string, otherwise int64) int64 {
	t.Helper()
	text, ok := os.LookupEnv(name)
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatalf("%s is %q, want a number", name, text)
	}
	return n
}

// check fails with the shrunk counterexample if the property does not hold of
// values of up to size parts.
func check(t *testing.T, size int, p gopter.Prop) {
	t.Helper()
	result := p.Check(parameters(t, size))
	if result.Passed() {
		return
	}
	var report strings.Builder
	gopter.NewFormatedReporter(true, 200, &report).ReportTestResult(t.Name(), result)
	t.Error(report.String())
}

// text is the form of an error that gopter takes: nothing if there is none.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
