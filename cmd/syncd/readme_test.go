package main_test

import (
	"errors"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/objects"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
)

// root is the root of the module, from the folder of this test.
const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// blocks returns the blocks of a language in a Markdown text.
func blocks(text, language string) []string {
	var found []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

func TestReadmeShowsTheExample(t *testing.T) {
	_, rest, _ := strings.Cut(read(t, "sync/node/example_test.go"), "\t// README begin\n")
	region, _, ok := strings.Cut(rest, "\t// README end\n")
	want := regexp.MustCompile(`(?m)^\t`).ReplaceAllString(region, "")
	if got := blocks(read(t, "README.md"), "go"); !ok || len(got) != 1 || got[0] != want {
		t.Errorf("the Go blocks of the README are\n%s\nwant the region of the example\n%s", strings.Join(got, "\n---\n"), want)
	}
}

// walk is the README's shell commands in progress.
type walk struct {
	dir   string
	env   []string
	ports *strings.Replacer // the README's ports by free ones
	begun []*process
}

// TestReadmeCommandsRun runs every shell command of the README, in order. The
// daemons get free ports in place of those it names.
func TestReadmeCommandsRun(t *testing.T) {
	a, b, hub := freeAddress(t), freeAddress(t), freeAddress(t)
	everywhere := strings.Replace(hub, "127.0.0.1", "0.0.0.0", 1)
	w := &walk{dir: t.TempDir(), ports: strings.NewReplacer("127.0.0.1:7440", a, "127.0.0.1:7441", b, "127.0.0.1:7442", hub, "0.0.0.0:7442", everywhere)}
	bin := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, "curl")); err != nil {
		t.Fatal(err)
	}
	w.env = append(os.Environ(), "GOBIN="+bin, "PATH="+bin+":"+os.Getenv("PATH"), "JOINERY_LISTEN="+a, "JOINERY_DIR=", "JOINERY_ADDR=")
	count := 0
	for _, block := range blocks(read(t, "README.md"), "sh") {
		for line := range strings.Lines(block) {
			w.run(t, strings.TrimSpace(line))
			count++
		}
	}
	if count < 15 {
		t.Errorf("the README has %d shell commands", count)
	}
	w.checkResult(t)
	for _, p := range slices.Backward(w.begun) {
		if code := p.signal(t, syscall.SIGINT); code != 0 && !strings.Contains(p.cmd.String(), "curl") {
			t.Errorf("%v ended with %d", p.cmd.Args, code)
		}
	}
}

func (w *walk) run(t *testing.T, line string) {
	t.Helper()
	switch {
	case strings.HasPrefix(line, "git clone "): // this is the clone
	case strings.HasPrefix(line, "make "):
		target := regexp.MustCompile(`(?m)^` + strings.TrimPrefix(line, "make ") + `:`)
		if !target.MatchString(read(t, "Makefile")) {
			t.Errorf("%s: there is no such target", line) // it would run this test
		}
	case strings.HasSuffix(line, "syncd demo"):
		w.finish(t, root, line+" --exit")
	case strings.HasPrefix(line, "go "):
		w.finish(t, root, line)
	case strings.HasPrefix(line, "syncd serve "):
		w.begin(t, line).line(t, "listening on")
	case strings.HasPrefix(line, "syncd watch "):
		p := w.begin(t, line)
		until(t, line, func() bool { return strings.Contains(p.log.String(), "watching") })
	case strings.HasPrefix(line, "curl -sN "):
		w.begin(t, line).line(t, "event: ready")
	default:
		w.finish(t, w.dir, line)
	}
}

func (w *walk) begin(t *testing.T, line string) *process {
	t.Helper()
	p := begin(t, w.env, "sh", "-c", "cd "+w.dir+" && exec "+w.ports.Replace(line))
	w.begun = append(w.begun, p)
	return p
}

func (w *walk) finish(t *testing.T, dir, line string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", w.ports.Replace(line))
	cmd.Dir, cmd.Env = dir, w.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// checkResult wants both devices to hold what the README's commands wrote.
func (w *walk) checkResult(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"laptop", "phone", "hub"} {
		for key, want := range map[string]string{"tags": "blue\ngarden\n", "likes": "3\n", "title": "Weekend shopping\n"} {
			until(t, dir+" has "+key, func() bool {
				return run(t, "", w.env, "get", "notes", key, "--dir", filepath.Join(w.dir, dir)).stdout == want
			})
		}
	}
}

// curl is as much of curl as the README uses, so that tests need no other
// program.
func curl(args []string) int {
	flags := flag.NewFlagSet("curl", flag.ContinueOnError)
	data := flags.String("d", "", "")
	flags.Bool("s", false, "")
	flags.Bool("sN", false, "")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	url := flags.Arg(0)
	if err := flags.Parse(flags.Args()[1:]); err != nil {
		return 2
	}
	method := http.MethodGet
	if *data != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequest(method, url, strings.NewReader(*data))
	if err != nil {
		return 3
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 7
	}
	defer resp.Body.Close()
	if _, err := io.Copy(os.Stdout, resp.Body); err != nil || resp.StatusCode >= http.StatusBadRequest {
		return 22
	}
	return 0
}

func TestReadmeListsTheTypes(t *testing.T) {
	text := read(t, "README.md")
	for _, kind := range objects.Types() {
		if !regexp.MustCompile("(?m)^\\| `" + kind + "` \\| `node\\.").MatchString(text) {
			t.Errorf("the README's table has no %s", kind)
		}
	}
}

func TestReadmeListsTheDependencies(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "README.md"), "## Dependencies")
	section, _, _ = strings.Cut(section, "\n## ")
	var listed []string
	for _, m := range regexp.MustCompile(`(?m)^\| (\S+\.\S+/\S+) \| (.+) \|$`).FindAllStringSubmatch(section, -1) {
		listed = append(listed, m[1])
	}
	if want := direct(t); !slices.Equal(listed, want) {
		t.Errorf("the README lists %q, the module needs %q", listed, want)
	}
}

// direct returns the modules in go.mod that a package of this module imports.
func direct(t *testing.T) []string {
	t.Helper()
	var required []string
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+`).FindAllStringSubmatch(read(t, "go.mod"), -1) {
		required = append(required, m[1])
	}
	needed := make(map[string]bool)
	for path := range imports(t) {
		for _, module := range required {
			if path == module || strings.HasPrefix(path, module+"/") {
				needed[module] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(needed))
}

// imports returns what the packages of this module import, without those of
// nested modules.
func imports(t *testing.T) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && nested(name) {
			return fs.SkipDir
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found[path] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// nested reports whether a folder is not of this module.
func nested(name string) bool {
	base := filepath.Base(name)
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return name != root && (err == nil || base == "testdata" || strings.HasPrefix(base, "."))
}

func TestReadmeLinksLeadSomewhere(t *testing.T) {
	for _, m := range regexp.MustCompile(`\]\(([^)#"]+)\)`).FindAllStringSubmatch(read(t, "README.md"), -1) {
		if _, err := os.Stat(filepath.Join(root, m[1])); !strings.Contains(m[1], "://") && errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the README links to %s, which is not there", m[1])
		}
	}
}

func TestAPIPageListsTheProblems(t *testing.T) {
	text := read(t, "cmd/syncd/API.md")
	for _, code := range v1.Codes() {
		p := v1.NewProblem(code, "", "")
		if row := fmt.Sprintf("| `%s` | %d | %s |\n", code, p.Status, p.Title); !strings.Contains(text, row) {
			t.Errorf("API.md has no row %s", row)
		}
	}
}

func TestAPIPageListsTheTypes(t *testing.T) {
	_, text, _ := strings.Cut(read(t, "cmd/syncd/API.md"), "\n## Objects\n")
	rows := regexp.MustCompile(`(?m)^\| ([a-z, -]+) \| .*`+"`").FindAllStringSubmatch(text, -1)
	var listed []string
	for _, row := range rows {
		listed = append(listed, strings.Split(row[1], ", ")...)
	}
	if slices.Sort(listed); !slices.Equal(listed, objects.Types()) {
		t.Errorf("API.md says what %q hold, want each of %q once", listed, objects.Types())
	}
}

func TestAPIPageListsRequestsThatAreAnswered(t *testing.T) {
	d := serve(t, filepath.Join(t.TempDir(), "a"))
	rows := regexp.MustCompile("(?m)^\\| `([A-Z]+) (/[^`]*)` \\|").FindAllStringSubmatch(read(t, "cmd/syncd/API.md"), -1)
	if len(rows) < 15 {
		t.Fatalf("API.md has %d requests", len(rows))
	}
	ok(t, "set", "s", "k", "v", "--dir", d.dir)
	names := strings.NewReplacer("{space}", "s", "{type}", "lww", "{key}", "k", "limit=", "limit=1")
	for _, row := range rows {
		req, err := http.NewRequestWithContext(t.Context(), row[1], d.base+names.Replace(row[2]), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed {
			t.Errorf("%s %s: %s", row[1], row[2], resp.Status)
		}
	}
}
