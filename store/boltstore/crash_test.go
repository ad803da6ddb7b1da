package boltstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
)

// Environment of a process that a test starts.
const (
	envProcess = "BOLTSTORE_TEST_PROCESS" // key of processes
	envDir     = "BOLTSTORE_TEST_DIR"
	envArg     = "BOLTSTORE_TEST_ARG"
)

// processes are what such a process may be.
var processes = map[string]func(dir, arg string) error{"write": writeForever}

func TestMain(m *testing.M) {
	process, ok := processes[os.Getenv(envProcess)]
	if !ok {
		os.Exit(m.Run())
	}
	if err := process(os.Getenv(envDir), os.Getenv(envArg)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process returns a command that runs one of processes.
func process(t testing.TB, name, dir, arg string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envProcess+"="+name, envDir+"="+dir, envArg+"="+arg)
	return cmd
}

// writeForever writes from several goroutines and prints the name of each
// Update that is acknowledged. It returns the first error.
func writeForever(dir, round string) error {
	s, err := boltstore.Open(dir, boltstore.Options{})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%s.%d.%d", round, w, i)
				if err := s.Update(context.Background(), func(tx store.Tx) error { return writeParts(tx, name) }); err != nil {
					failed <- err
				}
				fmt.Println(name)
			}
		}()
	}
	return <-failed
}

// The parts of one Update lie in several tables and spaces.
var parts = []struct {
	space string
	table store.Table
}{{"a", store.Cells}, {"a", store.Log}, {"b", store.Cells}, {"", store.Meta}}

// writeParts writes the parts of an Update.
func writeParts(tx store.Tx, name string) error {
	value := make([]byte, 100+len(name)*37%900)
	for _, p := range parts {
		if err := tx.Put(p.space, p.table, []byte(name), value); err != nil {
			return err
		}
	}
	return nil
}

func TestKilledWriter(t *testing.T) {
	const rounds = 20
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	var acknowledged []string
	for round := range rounds {
		acknowledged = append(acknowledged, killWriter(t, dir, round, rng.IntN(300))...)
		s := open(t, dir)
		if err := errors.Join(s.View(t.Context(), func(r store.Reader) error { return wantWhole(r, acknowledged) }), s.Check(t.Context()), s.Close()); err != nil {
			t.Fatalf("after kill %d: %v", round, err)
		}
	}
	t.Logf("%d kills, %d acknowledged Updates", rounds, len(acknowledged))
}

// killWriter starts a writer, kills it after it has printed n names, and
// returns all that it had printed.
func killWriter(t *testing.T, dir string, round, n int) (names []string) {
	t.Helper()
	cmd := process(t, "write", dir, strconv.Itoa(round))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var kill sync.Once
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if names = append(names, lines.Text()); len(names) >= n {
			kill.Do(func() { err = cmd.Process.Kill() })
		}
	}
	if werr := cmd.Wait(); err != nil || len(names) < n || werr == nil {
		t.Fatalf("the writer printed %d names and ended with %v; kill: %v", len(names), werr, err)
	}
	return names
}

// wantWhole demands every acknowledged Update and no half one.
func wantWhole(r store.Reader, acknowledged []string) error {
	for _, name := range acknowledged {
		if _, err := r.Get(parts[0].space, parts[0].table, []byte(name)); err != nil {
			return fmt.Errorf("acknowledged Update %s: %w", name, err)
		}
	}
	found := map[string]int{}
	for _, p := range parts {
		for rec, err := range r.Scan(p.space, p.table, store.Range{}) {
			if err != nil {
				return err
			}
			found[string(rec.Key)]++
		}
	}
	for name, n := range found {
		if n != len(parts) {
			return fmt.Errorf("Update %s has %d of %d parts", name, n, len(parts))
		}
	}
	return nil
}
