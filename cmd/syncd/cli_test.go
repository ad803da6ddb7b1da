package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

func TestValuesOnTheCommandLine(t *testing.T) {
	d := serve(t, filepath.Join(t.TempDir(), "a"))
	for _, c := range []struct {
		args []string
		text string // what get prints
		json string // what get --json has
	}{
		{[]string{"Groceries"}, "Groceries\n", `"value":"Groceries"`},
		{[]string{`"Groceries"`}, "Groceries\n", `"value":"Groceries"`},
		{[]string{"5"}, "\"5\"\n", `"value":"5"`},
		{[]string{"5", "--json"}, "5\n", `"value":5`},
		{[]string{"1.50", "--json"}, "1.5\n", `"value":1.5`},
		{[]string{"null", "--json"}, "null\n", `"value":null`},
		{[]string{"null"}, "\"null\"\n", `"value":"null"`},
		{[]string{""}, "\"\"\n", `"value":""`},
		{[]string{"[todo] buy milk"}, "[todo] buy milk\n", `"value":"[todo] buy milk"`},
		{[]string{`["a",1]`}, "[\"a\",1]\n", `"value":["a",1]`},
		{[]string{`{"b":1,"a":[]}`}, "{\"a\":[],\"b\":1}\n", `"value":{"a":[],"b":1}`},
		{[]string{"a\nb"}, "\"a\\nb\"\n", `"value":"a\nb"`},
		{[]string{" x"}, "\" x\"\n", `"value":" x"`},
		{[]string{"größer"}, "größer\n", `"value":"größer"`},
		{[]string{"--", "-x"}, "-x\n", `"value":"-x"`},
	} {
		ok(t, append([]string{"set", "s", "k", "--dir", d.dir}, c.args...)...)
		if got := ok(t, "get", "s", "k", "--dir", d.dir); got != c.text {
			t.Errorf("set %q, get prints %q, want %q", c.args, got, c.text)
		}
		if got := ok(t, "get", "s", "k", "--json", "--dir", d.dir); !strings.Contains(got, c.json) {
			t.Errorf("set %q, get --json prints %s, want %s", c.args, got, c.json)
		}
	}
}

func TestObjectsOnTheCommandLine(t *testing.T) {
	d := serve(t, filepath.Join(t.TempDir(), "a"))
	at := func(args ...string) string { t.Helper(); return ok(t, append(args, "--dir", d.dir)...) }
	if got := at("add", "s", "tags", "b", "a"); !strings.HasSuffix(got, "/1\n") {
		t.Errorf("add printed %q, want one change", got)
	}
	at("remove", "s", "tags", "b")
	if got := at("remove", "s", "tags", "b"); got != "nothing to change\n" {
		t.Errorf("the second remove printed %q", got)
	}
	at("inc", "s", "n", "5")
	at("inc", "s", "n", "-7")
	at("inc", "s", "n", "--by", "-1")
	at("inc", "s", "n")
	at("set", "s", "tags", "a text")
	if got := at("get", "s", "n"); got != "-2\n" {
		t.Errorf("the counter is %q, want -2", got)
	}
	if got := at("get", "s", "tags", "--type", "orset"); got != "a\n" {
		t.Errorf("the set is %q", got)
	}
	if r := syncd(t, "get", "s", "tags", "--dir", d.dir); r.stdout != "a text\na\n" || !strings.Contains(r.stderr, "2 types are under this key") {
		t.Errorf("get of a key with two types: %+v", r)
	}
	if got := at("get", "s", "--prefix", "t"); got != "tags  lww\ntags  orset\n" {
		t.Errorf("get of the space: %q", got)
	}
	if got := at("spaces"); got != "s\n" {
		t.Errorf("spaces: %q", got)
	}
	r := run(t, `{"ops":[{"op":"add","key":"tags","value":"z"},{"op":"inc","key":"n","by":2}]}`, environment(t), "tx", "s", "--dir", d.dir)
	if r.code != 0 || at("get", "s", "n") != "0\n" {
		t.Errorf("tx: %+v", r)
	}
}

func TestMapsAndFlagsOnTheCommandLine(t *testing.T) {
	d := serve(t, filepath.Join(t.TempDir(), "a"))
	at := func(args ...string) string { t.Helper(); return ok(t, append(args, "--dir", d.dir)...) }
	at("set", "s", "profile", "Ada", "--field", "name")
	at("set", "s", "profile", "[1]", "--field", `{"no":"text"}`)
	at("set", "s", "profile", "5", "--field", "7", "--json")
	at("set", "s", "profile", "x", "--field", "gone")
	at("remove", "s", "profile", "--field", "gone")
	if got, want := at("get", "s", "profile"), "7              5\nname           Ada\n{\"no\":\"text\"}  [1]\n"; got != want {
		t.Errorf("the map is\n%s, want\n%s", got, want)
	}
	at("enable", "s", "archived")
	at("disable", "s", "shared", "--type", "dwflag")
	at("inc", "s", "stock", "5", "--type", "bounded")
	at("inc", "s", "stock", "-2", "--type", "bounded")
	at("add", "s", "ids", "a", "b", "--type", "uset")
	at("remove", "s", "ids", "a", "--type", "uset")
	for key, want := range map[string]string{"archived": "true\n", "shared": "false\n", "stock": "3\n", "ids": "b\n"} {
		if got := at("get", "s", key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

func TestGetPrintsAMapOfObjects(t *testing.T) {
	n, err := node.Open(t.Context(), node.Config{Store: memstore.New()})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	cart := node.ORMap[string]("cart")
	inner := object.At(cart, "more", object.NewORMap[string])
	err = n.Space("shop").Update(t.Context(), func(tx *node.Tx) error {
		return errors.Join(
			object.At(cart, "items", object.NewORSet[string]).Add(tx, "milk"),
			object.At(inner, "prices", object.NewLWWMap[string, float64]).Set(tx, "milk", 1.5),
			object.At(inner, "open", object.NewEWFlag).Enable(tx),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if _, err := n.Space("shop").Export(t.Context(), &file, node.Cut{}); err != nil {
		t.Fatal(err)
	}
	d, path := serve(t, filepath.Join(t.TempDir(), "a")), filepath.Join(t.TempDir(), "shop.drop")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	ok(t, "import", path, "--dir", d.dir)
	want := "more  ormap\n  open  ewflag\n    true\n  prices  lwwmap\n    milk  1.5\nitems  orset\n  milk\n"
	if got := ok(t, "get", "shop", "cart", "--dir", d.dir); got != want {
		t.Errorf("the map is\n%s, want\n%s", got, want)
	}
}

// fixture is a device with a little in it, for commands that go wrong.
func fixture(t *testing.T) (d *device, dir string) {
	t.Helper()
	d, dir = serve(t, filepath.Join(t.TempDir(), "a")), t.TempDir()
	ok(t, "add", "s", "gone", "x", "--type", "twopset", "--dir", d.dir)
	ok(t, "remove", "s", "gone", "x", "--type", "twopset", "--dir", d.dir)
	ok(t, "inc", "s", "full", "9223372036854775807", "--dir", d.dir)
	whole := ok(t, "export", "s", "--dir", d.dir)
	for name, text := range map[string]string{"cut.drop": whole[:len(whole)/2], "text.txt": "hello", "empty": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d, dir
}

// badCommand is a command that goes wrong. It stands for words separated by
// single spaces.
type badCommand struct {
	command string
	stdin   string
	code    int
	says    string
}

func badCommands(d *device, dir, nowhere string) []badCommand {
	return []badCommand{
		{"bogus", "", 2, "unknown command"},
		{"peers bogus", "", 2, "syncd peers --help"},
		{"get", "", 2, "syncd get --help"},
		{"add s k", "", 2, "syncd add --help"},
		{"set s k a b", "", 2, "accepts 3 arg"},
		{"add s k v --colour", "", 2, "unknown flag"},
		{"add s k -5", "", 2, "comes after --"},
		{"add s k v --type list", "", 2, "types are bounded"},
		{"remove s k v --type gset", "", 2, "operations of gset are add"},
		{"set s k v --type orset", "", 2, "operations of orset are"},
		{"set s k Groceries --json", "", 2, "json"},
		{"set s k v --field f --type lww", "", 2, "operations of lww are set (value)"},
		{"set s k --field f", "", 2, "accepts 3 arg"},
		{"remove s k v --field f", "", 2, "accepts 2 arg"},
		{"remove s k", "", 2, "requires at least 3 arg"},
		{"remove s k --field x --json", "", 2, "json"},
		{"set s k v --type lwwmap", "", 2, "set wants a field"},
		{"set s k v --field f --type ormap", "", 2, "node.ORMap"},
		{"enable s k --type orset", "", 2, "operations of orset are add (value)"},
		{"inc s k -1 --type gcounter", "", 2, "counts up only"},
		{"inc s k -1 --type bounded", "", 5, "count up on this device first"},
		{`set s k {"a":1,"a":2} --json`, "", 2, "comes twice"},
		{"set s k 99999999999999999999 --json", "", 2, "64 bits"},
		{"inc s k many", "", 2, "not an integer"},
		{"inc s k 9223372036854775808", "", 2, "not an integer"},
		{"inc s k --by 1.5", "", 2, "invalid argument"},
		{"add s  v", "", 2, "is empty"},
		{"add s " + strings.Repeat("k", 1025) + " v", "", 2, "1024"},
		{"add " + strings.Repeat("s", 256) + " k v", "", 2, "255"},
		{"add s k " + strings.Repeat("v", 5000), "", 2, "4096"},
		{"set s k " + strings.Repeat("v", 100_000) + " --type orset", "", 2, "operations of orset"},
		{"tx s", `{"ops":`, 2, "json"},
		{"tx s", `{"ops":[{"op":"inc","key":"k"},{"op":"jump","key":"k"}]}`, 2, "operation 1"},
		{"tx s", strings.Repeat(" ", 3<<20), 2, "2097152"},
		{"peers add ftp://x", "", 2, "example"},
		{"serve --listen nonsense", "", 2, "host:port"},
		{"serve --dir " + dir + "/new --listen 0.0.0.0:0", "", 2, "--insecure-no-auth"},
		{"serve --dir " + dir + "/new --listen :0", "", 2, "--insecure-no-auth"},
		{"serve --dir " + dir + "/new --peer ftp://x --listen 127.0.0.1:0", "", 2, "cannot be a peer"},
		{"import " + dir + "/cut.drop", "", 1, "ends early"},
		{"import " + dir + "/text.txt", "", 1, "not a drop file"},
		{"import " + dir + "/empty", "", 1, "ends early"},
		{"serve --dir " + dir + "/new --listen " + d.base[len("http://"):], "", 1, "choose another with --listen"},
		{"get s k --addr " + nowhere, "", 3, "syncd serve"},
		{"get s k --dir " + dir + "/none", "", 3, "syncd serve"},
		{"status --addr http://" + nowhere, "", 3, nowhere},
		{"watch s --addr " + nowhere, "", 3, "syncd serve"},
		{"export s --addr " + nowhere, "", 3, "syncd serve"},
		{"import " + dir + "/text.txt --addr " + nowhere, "", 3, "syncd serve"},
		{"get s none", "", 4, "syncd get s"},
		{"get none", "", 4, "syncd spaces"},
		{"get s full --type orset", "", 4, "of type pncounter"},
		{"export none", "", 4, "syncd spaces"},
		{"import " + dir + "/none", "", 4, "no such file"},
		{"peers remove 127.0.0.1:1", "", 4, "peers list"},
		{"inc s full", "", 5, "another key"},
		{"add s gone x --type twopset", "", 5, "orset"},
		{"serve --dir " + d.dir + " --listen 127.0.0.1:0", "", 6, "stop that process"},
		{"serve --dir " + dir + " --listen 127.0.0.1:0", "", 6, "choose an empty"},
	}
}

// TestBadCommands: each ends with its exit code, says what is wrong and what to
// do, prints nothing to stdout, and changes nothing.
func TestBadCommands(t *testing.T) {
	d, dir := fixture(t)
	before := d.contents(t, "s")
	for _, c := range badCommands(d, dir, freeAddress(t)) {
		args := strings.Split(c.command, " ")
		if !strings.Contains(c.command, "--dir") && !strings.Contains(c.command, "--addr") {
			args = append(args, "--dir", d.dir)
		}
		r := run(t, c.stdin, environment(t), args...)
		if r.code != c.code || !strings.Contains(r.stderr, c.says) || r.stdout != "" {
			t.Errorf("syncd %.90s\n got %d %s%s\nwant %d with %q", c.command, r.code, r.stdout, r.stderr, c.code, c.says)
		}
		j := run(t, c.stdin, environment(t), append(args[:len(args):len(args)], "--json")...)
		var p v1.Problem
		if err := json.Unmarshal([]byte(j.stderr), &p); err != nil || p.Detail == "" || j.code == 0 {
			t.Errorf("syncd %.90s --json: %d %s, want a problem", c.command, j.code, j.stderr)
		}
	}
	if after := d.contents(t, "s"); after != before {
		t.Errorf("the contents are %s, before %s", after, before)
	}
	if _, err := os.Stat(filepath.Join(dir, "new", "address")); err == nil {
		t.Error("a daemon that did not start noted an address")
	}
}

func TestDamagedDataDirectories(t *testing.T) {
	for _, c := range []struct{ file, content, says string }{
		{"store/joinery.db", strings.Repeat("garbage ", 4096), "joinery.db"},
		{"store/joinery.db", "short", "joinery.db"},
		{"peers.json", `{"version":1,"peers":[`, "correct or remove"},
		{"peers.json", `{"version":2,"peers":[]}`, "upgrade"},
		{"peers.json", `{"version":1,"peers":["ftp://x"]}`, "peers.json"},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		path := filepath.Join(dir, c.file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		r := syncd(t, "serve", "--dir", dir, "--listen", "127.0.0.1:0")
		if r.code != 6 || !strings.Contains(r.stderr, c.says) || r.stdout != "" {
			t.Errorf("serve with %s = %.20q: %d %s%s, want 6 with %q", c.file, c.content, r.code, r.stdout, r.stderr, c.says)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != c.content {
			t.Errorf("%s was touched: %.40q, %v", c.file, b, err)
		}
	}
}

// TestAddressOfAnotherDaemon: a daemon that has taken the address of one that was
// killed does not answer for it.
func TestAddressOfAnotherDaemon(t *testing.T) {
	a := serve(t, filepath.Join(t.TempDir(), "a"))
	a.kill(t)
	if r := syncd(t, "add", "s", "k", "x", "--dir", a.dir); r.code != 3 || !strings.Contains(r.stderr, "syncd serve") {
		t.Errorf("after a kill: %d %s", r.code, r.stderr)
	}
	b := serve(t, filepath.Join(t.TempDir(), "b"), "--listen", strings.TrimPrefix(a.base, "http://"))
	r := syncd(t, "add", "s", "k", "x", "--dir", a.dir)
	if r.code != 3 || !containsAll(r.stderr, []string{"does not serve", "syncd serve --dir"}) {
		t.Errorf("at another daemon's address: %d %s", r.code, r.stderr)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(b.dir, link); err != nil {
		t.Fatal(err)
	}
	ok(t, "add", "s", "k", "y", "--dir", link)
	if got := ok(t, "get", "s", "k", "--dir", b.dir); got != "y\n" {
		t.Errorf("b holds %q", got)
	}
}

func TestEnvironment(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	env := environment(t, "JOINERY_DIR="+dir, "JOINERY_LISTEN=127.0.0.1:0", "JOINERY_NAME=by-env")
	p := begin(t, env, program, "serve")
	base := strings.Fields(p.line(t, "listening"))[2]
	if got := get(t, base+"/v1/status"); !containsAll(got, []string{`"name":"by-env"`, dir}) {
		t.Errorf("status = %s", got)
	}
	if r := run(t, "", env, "add", "s", "k", "x"); r.code != 0 {
		t.Errorf("add by $JOINERY_DIR: %+v", r)
	}
	if r := run(t, "", environment(t, "JOINERY_ADDR="+base), "get", "s", "k"); r.code != 0 || r.stdout != "x\n" {
		t.Errorf("get by $JOINERY_ADDR: %+v", r)
	}
	if r := run(t, "", env, "get", "s", "k", "--dir", t.TempDir()); r.code != 3 {
		t.Errorf("--dir did not win over $JOINERY_DIR: %+v", r)
	}
}

func TestDefaultDirectory(t *testing.T) {
	data := t.TempDir()
	p := begin(t, environment(t, "XDG_DATA_HOME="+data), program, "serve", "--listen", "127.0.0.1:0", "--json")
	line := p.line(t, "address")
	if !strings.Contains(line, `"dir":"`+filepath.Join(data, "joinery")+`"`) {
		t.Errorf("serve --json printed %s", line)
	}
	info, err := os.Stat(filepath.Join(data, "joinery"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data directory: %v, %v, want it for its owner only", info.Mode(), err)
	}
}

func TestListenBeyondLoopbackWhenToldTo(t *testing.T) {
	p := begin(t, environment(t), program, "serve", "--dir", filepath.Join(t.TempDir(), "d"), "--listen", "0.0.0.0:0", "--insecure-no-auth")
	p.line(t, "listening")
	until(t, "it warns", func() bool { return strings.Contains(p.log.String(), "there is no authentication") })
}

func TestHelp(t *testing.T) {
	top := ok(t, "--help")
	commands := regexp.MustCompile(`(?m)^  ([a-z]+) +[A-Z]`).FindAllStringSubmatch(top, -1)
	if len(commands) < 16 {
		t.Fatalf("help lists %d commands:\n%s", len(commands), top)
	}
	for _, c := range commands {
		if got := ok(t, c[1], "--help"); !containsAll(got, []string{"Usage:", "--json", "--dir"}) {
			t.Errorf("%s --help:\n%s", c[1], got)
		}
	}
	for _, want := range []string{"Exit codes:", "syncd demo", "6  the data directory"} {
		if !strings.Contains(top, want) {
			t.Errorf("help does not say %q", want)
		}
	}
	if got := ok(t); got != top {
		t.Error("syncd alone does not print the help")
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := ok(t, "completion", shell); !strings.Contains(got, "syncd") {
			t.Errorf("completion %s: %s", shell, got)
		}
	}
	if got := ok(t, "__complete", "add", "s", "k", "v", "--type", ""); !containsAll(got, []string{"gset", "orset"}) {
		t.Errorf("completion of --type: %s", got)
	}
}

func TestDoctor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	d := serve(t, dir)
	ok(t, "add", "notes", "tags", "home", "--dir", dir)
	if r := syncd(t, "doctor", "--dir", dir); r.code != 6 || !strings.Contains(r.stderr, "in use") {
		t.Errorf("doctor of a directory in use: %d %s%s", r.code, r.stdout, r.stderr)
	}
	d.kill(t)
	if got := ok(t, "doctor", "--dir", dir); !strings.Contains(got, `space "notes": `) {
		t.Errorf("doctor: %s", got)
	}
	var report struct{ Spaces []struct{ Name string } }
	if err := json.Unmarshal([]byte(ok(t, "doctor", "--json", "--dir", dir)), &report); err != nil || len(report.Spaces) < 2 {
		t.Errorf("doctor --json: %+v, %v, want the space and the node's own", report, err)
	}
	file := filepath.Join(dir, "store", "joinery.db")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[bytes.LastIndex(b, []byte("home"))] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := syncd(t, "doctor", "--dir", dir); r.code != 6 || !containsAll(r.stdout+r.stderr, []string{"corrupt record", "move", "restore a backup"}) {
		t.Errorf("doctor of a damaged store: %d %s%s", r.code, r.stdout, r.stderr)
	}
	if r := syncd(t, "doctor", "--dir", t.TempDir()); r.code == 0 {
		t.Error("doctor of nothing finds it sound")
	}
}

func TestVersion(t *testing.T) {
	if got := ok(t, "version"); !strings.HasPrefix(got, "syncd ") {
		t.Errorf("version: %s", got)
	}
	var v map[string]string
	if err := json.Unmarshal([]byte(ok(t, "version", "--json")), &v); err != nil || v["version"] == "" || v["go"] == "" {
		t.Errorf("version --json: %v, %v", v, err)
	}
}

func TestStatusWatchPrintsWhatChanges(t *testing.T) {
	d := serve(t, filepath.Join(t.TempDir(), "a"))
	p := begin(t, environment(t), program, "status", "--watch", "--dir", d.dir)
	p.line(t, "no problems")
	ok(t, "add", "s", "k", "x", "--dir", d.dir)
	p.line(t, "s ", "1")
	if code := p.signal(t, os.Interrupt); code != 0 {
		t.Errorf("an interrupted status ended with %d", code)
	}
}

func TestDemo(t *testing.T) {
	env := environment(t)
	r := run(t, "", env, "demo", "--exit")
	for _, want := range []string{
		"title   Weekend shopping  the later write prevails; watchers are told what it met: \"Shopping list\"",
		"tags    home, urgent ", "likes   6 ", "colour  teal              teal", " | ",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("the demo does not show %q", want)
		}
	}
	if r.code != 0 || r.stderr != "" {
		t.Errorf("demo --exit: %d %s\n%s", r.code, r.stderr, r.stdout)
	}
	leaves := func() []os.DirEntry {
		t.Helper()
		left, err := os.ReadDir(strings.TrimPrefix(env[2], "TMPDIR="))
		if err != nil {
			t.Fatal(err)
		}
		return left
	}
	if left := leaves(); len(left) > 0 {
		t.Errorf("the demo left %v", left)
	}
	p := begin(t, env, program, "demo")
	add := strings.Fields(p.line(t, " add notes tags garden --addr "))
	status := strings.Fields(p.line(t, " status --addr "))
	p.line(t, "Ctrl-C")
	ok(t, add[1:]...)
	until(t, "laptop has what was added to phone", func() bool {
		return strings.Contains(ok(t, "get", "notes", "tags", "--addr", status[len(status)-1]), "garden")
	})
	if len(leaves()) != 1 {
		t.Errorf("the running demo stores in %v", leaves())
	}
	if code := p.signal(t, syscall.SIGINT); code != 0 {
		t.Errorf("the interrupted demo ended with %d", code)
	}
	if left := leaves(); len(left) > 0 {
		t.Errorf("the interrupted demo left %v", left)
	}
}
