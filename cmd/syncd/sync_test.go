package main_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
)

func TestAnAddHereIsSeenByAWatchThere(t *testing.T) {
	laptop, phone := serve(t, filepath.Join(t.TempDir(), "laptop")), serve(t, filepath.Join(t.TempDir(), "phone"))
	if got := ok(t, "peers", "add", phone.base, "--dir", laptop.dir); !strings.Contains(got, "connected to phone") {
		t.Errorf("peers add: %s", got)
	}
	watch := begin(t, environment(t), program, "watch", "notes", "ta", "--dir", phone.dir)
	until(t, "the watch runs", func() bool { return strings.Contains(watch.log.String(), "watching notes") })
	ok(t, "inc", "notes", "other", "--dir", laptop.dir)
	ok(t, "add", "notes", "tags", "home", "--dir", laptop.dir)
	if got := watch.line(t, "tags"); !containsAll(got, []string{"+ home", "from laptop"}) {
		t.Errorf("watch on the phone printed %q", got)
	}
	if got := ok(t, "get", "notes", "tags", "--dir", phone.dir); got != "home\n" {
		t.Errorf("get on the phone: %q", got)
	}
	ok(t, "remove", "notes", "tags", "home", "--dir", phone.dir)
	if got := watch.line(t, "tags"); !containsAll(got, []string{"- home", "here"}) {
		t.Errorf("watch on the phone printed %q", got)
	}
	if code := watch.signal(t, os.Interrupt); code != 0 {
		t.Errorf("an interrupted watch ended with %d", code)
	}
}

// TestKilledDaemonsLoseNothing: two devices sync while elements are added to
// both and one after the other is killed without warning. Whatever was
// acknowledged must be on both in the end.
func TestKilledDaemonsLoseNothing(t *testing.T) {
	const kills = 10
	devices := []*device{serve(t, filepath.Join(t.TempDir(), "a")), serve(t, filepath.Join(t.TempDir(), "b"))}
	ok(t, "peers", "add", devices[1].base, "--dir", devices[0].dir)
	w := &writers{acked: make(map[string]bool)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for i, d := range devices {
		wg.Go(func() { w.write(ctx, d, fmt.Sprintf("of %d", i)) })
	}
	for i := range kills {
		seen := w.count()
		until(t, "writes are acknowledged between kills", func() bool { return w.count() >= seen+20 })
		victim := devices[i%2]
		victim.kill(t)
		devices[i%2] = victim.again(t)
	}
	stop()
	wg.Wait()
	for _, d := range devices {
		until(t, "all that was acknowledged is on "+d.dir, func() bool { return len(w.missing(t, d)) == 0 })
	}
	until(t, "both hold the same", func() bool {
		a, b := devices[0].contents(t, "s"), devices[1].contents(t, "s")
		return a != "" && a == b
	})
	t.Logf("%d acknowledged adds over %d kills", w.count(), kills)
}

// writers add elements and remember which were acknowledged.
type writers struct {
	mu    sync.Mutex
	acked map[string]bool
}

func (w *writers) write(ctx context.Context, d *device, who string) {
	for i := 0; ctx.Err() == nil; i++ {
		word := fmt.Sprintf("%d %s", i, who)
		v, _ := jsonvalue.String(word)
		if _, err := d.api.Do(ctx, "s", v1.Op{Op: "add", Key: "k", Value: v}); err != nil {
			continue // it may be stored or not: nothing was promised
		}
		w.mu.Lock()
		w.acked[word] = true
		w.mu.Unlock()
	}
}

func (w *writers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

// missing returns what was acknowledged and is not on a device.
func (w *writers) missing(t *testing.T, d *device) []string {
	t.Helper()
	o, err := d.api.Object(t.Context(), "s", "orset", "k")
	if err != nil {
		return []string{err.Error()}
	}
	w.mu.Lock()
	left := maps.Clone(w.acked)
	w.mu.Unlock()
	for _, v := range o.Elements {
		delete(left, strings.Trim(v.Text(), `"`))
	}
	return slices.Sorted(maps.Keys(left))
}

func TestPeersSurviveRestarts(t *testing.T) {
	a, b := serve(t, filepath.Join(t.TempDir(), "a")), serve(t, filepath.Join(t.TempDir(), "b"))
	ok(t, "peers", "add", b.base, "--dir", a.dir)
	if code := a.signal(t, syscall.SIGTERM); code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	ok(t, "add", "s", "k", "x", "--dir", b.dir)
	a = a.again(t)
	until(t, "a has what b wrote", func() bool { return a.contents(t, "s") == b.contents(t, "s") })
	ok(t, "peers", "remove", b.base, "--dir", a.dir)
	a.kill(t)
	a = a.again(t)
	if got := ok(t, "peers", "list", "--dir", a.dir); got != "" {
		t.Errorf("after a removal and a restart the peers are %s", got)
	}
}

func TestPeerOfTheCommandLineIsNotRemembered(t *testing.T) {
	b := serve(t, filepath.Join(t.TempDir(), "b"))
	a := serve(t, filepath.Join(t.TempDir(), "a"), "--peer", b.base)
	until(t, "a is connected", func() bool { return strings.Contains(ok(t, "peers", "--dir", a.dir), "connected") })
	a.kill(t)
	a = a.again(t)
	if got := ok(t, "peers", "--dir", a.dir); got != "" {
		t.Errorf("peers = %s, want none", got)
	}
}

func TestUnreachablePeerIsKeptAndNamed(t *testing.T) {
	a := serve(t, filepath.Join(t.TempDir(), "a"))
	gone := "http://" + freeAddress(t)
	if got := ok(t, "peers", "add", gone, "--dir", a.dir); !containsAll(got, []string{"not connected yet", "nothing listens", "syncd status"}) {
		t.Errorf("peers add: %s", got)
	}
	r := syncd(t, "peers", "add", gone, "--wait", "50ms", "--dir", a.dir)
	if r.code != 3 || !containsAll(r.stderr, []string{"did not connect", "syncd status"}) {
		t.Errorf("peers add --wait: %d %s", r.code, r.stderr)
	}
	if got := ok(t, "status", "--dir", a.dir); !containsAll(got, []string{"peer_unreachable", "check that the peer runs"}) {
		t.Errorf("status: %s", got)
	}
	b := serve(t, filepath.Join(t.TempDir(), "b"), "--listen", strings.TrimPrefix(gone, "http://"))
	until(t, "they are connected", func() bool { return strings.Contains(ok(t, "status", "--dir", a.dir), "no problems") })
	ok(t, "add", "s", "k", "x", "--dir", b.dir)
	until(t, "they are level", func() bool { return a.contents(t, "s") == b.contents(t, "s") })
}

// freeAddress returns an address at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestDropFilesBetweenDevices(t *testing.T) {
	a, b := serve(t, filepath.Join(t.TempDir(), "a")), serve(t, filepath.Join(t.TempDir(), "b"))
	ok(t, "add", "s", "k", "x", "y", "--dir", a.dir)
	ok(t, "inc", "s", "n", "-3", "--dir", a.dir)
	file := filepath.Join(t.TempDir(), "s.drop")
	exported := ok(t, "export", "s", "--dir", a.dir)
	if err := os.WriteFile(file, []byte(exported), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ok(t, "import", file, "--dir", b.dir); !strings.Contains(got, "2 changes applied to s, 0 were here already") {
		t.Errorf("import: %s", got)
	}
	if r := run(t, exported, environment(t), "import", "-", "--json", "--dir", b.dir); r.code != 0 || !strings.Contains(r.stdout, `"duplicate":2`) {
		t.Errorf("import of stdin: %+v", r)
	}
	if a.contents(t, "s") != b.contents(t, "s") {
		t.Error("the devices differ after the import")
	}
}

func TestShutdownEndsWatchesAndKeepsWhatWasAcknowledged(t *testing.T) {
	a := serve(t, filepath.Join(t.TempDir(), "a"))
	watch := begin(t, environment(t), program, "watch", "s", "--dir", a.dir)
	until(t, "the watch runs", func() bool { return strings.Contains(watch.log.String(), "watching s") })
	ok(t, "add", "s", "k", "x", "--dir", a.dir)
	if code := a.signal(t, os.Interrupt); code != 0 {
		t.Errorf("SIGINT: exit code %d\n%s", code, a.log)
	}
	if code := watch.wait(t); code != 3 || !strings.Contains(watch.log.String(), "try again when the daemon runs") {
		t.Errorf("the watch ended with %d: %s", code, watch.log)
	}
	if _, err := os.Stat(filepath.Join(a.dir, "address")); !os.IsNotExist(err) {
		t.Errorf("the address is still noted: %v", err)
	}
	a = a.again(t)
	if got := ok(t, "get", "s", "k", "--dir", a.dir); got != "x\n" {
		t.Errorf("after the restart k is %q", got)
	}
}

func TestDeviceRefusesItself(t *testing.T) {
	a := serve(t, filepath.Join(t.TempDir(), "a"))
	r := syncd(t, "peers", "add", a.base, "--dir", a.dir)
	if r.code != 5 || !containsAll(r.stderr, []string{"same node", "peers remove"}) {
		t.Errorf("peers add of itself: %d %s", r.code, r.stderr)
	}
	if got := ok(t, "status", "--dir", a.dir); !containsAll(got, []string{"self (", "peers remove"}) {
		t.Errorf("status: %s", got)
	}
	ok(t, "peers", "remove", a.base, "--dir", a.dir)
	if got := ok(t, "status", "--dir", a.dir); !strings.Contains(got, "no problems") {
		t.Errorf("status after the removal: %s", got)
	}
}
