// Command mutants plants bugs, one at a time, and demands that the check named
// beside each of them fails. The sources stay as they are: a planted bug is an
// overlay of the build.
//
//	cd tools && go run ./mutants [-only name] [-v]
//
// It exits 1 if a mutant survives, and also if one no longer applies, so that
// the list keeps up with the code.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A mutant is one planted bug: in File, the text Old, which stands there exactly
// once, becomes New, and Append is added at the end.
type mutant struct {
	Name   string
	File   string
	Old    string
	New    string
	Append string
	Check  check
}

// A check is a command that passes on the true sources and must fail on the
// mutant. {name} stands for the path of cmd/name built with the mutant.
type check []string

// program returns the name in braces that the check begins with.
func (c check) program() (name string, ok bool) {
	name, ok = strings.CutPrefix(c[0], "{")
	return strings.TrimSuffix(name, "}"), ok
}

func main() {
	only := flag.String("only", "", "plant just the mutant of this `name`")
	verbose := flag.Bool("v", false, "print what the failing checks say")
	flag.Parse()
	root, err := filepath.Abs("..")
	if err == nil {
		err = run(root, *only, *verbose)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(root, only string, verbose bool) error {
	survivors, planted := 0, 0
	for _, m := range slices.Concat(mutants, guards) {
		if only != "" && m.Name != only {
			continue
		}
		planted++
		began := time.Now()
		killed, output, err := m.plant(root)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		verdict := "killed"
		if !killed {
			verdict = "SURVIVED"
			survivors++
		}
		fmt.Printf("%-9s %-34s %5.1fs  %s\n", verdict, m.Name, time.Since(began).Seconds(), firstLine(output))
		if verbose {
			fmt.Println(output)
		}
	}
	fmt.Printf("%d mutants planted, %d survived\n", planted, survivors)
	if survivors > 0 || planted == 0 {
		return errors.New("a planted bug was not found, or none was planted")
	}
	return nil
}

// plant builds the tree with the bug in it and runs the check.
func (m *mutant) plant(root string) (killed bool, output string, err error) {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return false, "", err
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return false, "", err
	}
	args := append([]string(nil), m.Check...)
	if name, ok := m.Check.program(); ok {
		args[0] = filepath.Join(dir, name)
		if out, err := runIn(root, "go", "build", "-overlay", overlay, "-o", args[0], "./cmd/"+name); err != nil {
			return false, "", fmt.Errorf("does not build: %w\n%s", err, out)
		}
	} else {
		args = append([]string{"go", "test", "-overlay", overlay, "-count=1"}, args...)
	}
	output, err = runIn(root, args...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return false, "", err
	}
	if strings.Contains(output, "[build failed]") {
		return false, "", fmt.Errorf("does not build:\n%s", output)
	}
	return err != nil, output, nil
}

// overlay writes the mutated file and the build's overlay that names it.
func (m *mutant) overlay(root, dir string) (string, error) {
	original := filepath.Join(root, filepath.FromSlash(m.File))
	source, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	if n := bytes.Count(source, []byte(m.Old)); n != 1 {
		return "", fmt.Errorf("%s holds the text to replace %d times; bring the mutant up to date", m.File, n)
	}
	mutated := filepath.Join(dir, filepath.Base(m.File))
	text := strings.Replace(string(source), m.Old, m.New, 1) + m.Append
	if err := os.WriteFile(mutated, []byte(text), 0o600); err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: mutated}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, replace, 0o600)
}

func runIn(root string, args ...string) (string, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// firstLine returns the first line of a check's output that says something.
func firstLine(output string) string {
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "---") || strings.Contains(line, "differ") || strings.Contains(line, "refused") || strings.HasPrefix(line, "syncd:") || strings.Contains(line, "violates") {
			return line[:min(len(line), 120)]
		}
	}
	return ""
}
