package main_test

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestDevices(t *testing.T) {
	phone := serve(t, filepath.Join(t.TempDir(), "phone"), "--name", "phone")
	hub := serve(t, filepath.Join(t.TempDir(), "hub"), "--name", "hub", "--hub")
	ok(t, "add", "s", "k", "x", "--dir", phone.dir)
	ok(t, "peers", "add", hub.base, "--dir", phone.dir)
	until(t, "the hub knows the phone", func() bool {
		return containsAll(ok(t, "devices", "--dir", hub.dir), []string{"phone", "connected", "has all"})
	})
	if got := ok(t, "devices", "retire", "phone", "--dir", hub.dir); got != "phone is retired\n" {
		t.Errorf("devices retire: %s", got)
	}
	if got := ok(t, "devices", "list", "--dir", hub.dir); !strings.Contains(got, "retired") {
		t.Errorf("devices list: %s", got)
	}
	if r := syncd(t, "devices", "retire", "nobody", "--dir", hub.dir); r.code != 4 || !strings.Contains(r.stderr, "syncd devices list") {
		t.Errorf("devices retire nobody: %d %s", r.code, r.stderr)
	}
	if got := ok(t, "devices", "return", "phone", "--dir", hub.dir); got != "phone is waited for again\n" {
		t.Errorf("devices return: %s", got)
	}
}
