package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/store"
)

func TestCheckKey(t *testing.T) {
	longest, key := strings.Repeat("s", store.MaxSpace), make([]byte, store.MaxKey)
	for _, space := range []string{"", "a", longest} {
		for _, k := range [][]byte{nil, {}, key} {
			if err := store.CheckKey(space, k); err != nil {
				t.Errorf("CheckKey of %d and %d bytes = %v, want nil", len(space), len(k), err)
			}
		}
	}
	want := map[string]error{
		"space": store.CheckKey(longest+"s", nil),
		"key":   store.CheckKey("", append(key, 0)),
	}
	for what, err := range want {
		e, ok := errors.AsType[*store.LimitError](err)
		if !ok || e.What != what || e.Size != e.Limit+1 {
			t.Errorf("CheckKey beyond the limit of a %s = %v", what, err)
		}
	}
}

func TestErrorsHaveKindAndAdvice(t *testing.T) {
	cause := errors.New("cause")
	tests := []struct {
		err, kind error
		advice    string
	}{
		{&store.LockedError{Path: "dir"}, store.ErrLocked, "choose another directory"},
		{&store.ForeignError{Path: "dir", Have: "a text", Kind: store.ErrForeign}, store.ErrForeign, "choose another directory"},
		{&store.ForeignError{Path: "dir", Have: "version 9", Kind: store.ErrNewer}, store.ErrNewer, "upgrade"},
		{&store.FullError{Path: "dir", Free: 1, Need: 2}, store.ErrReadOnly, "make room"},
		{&store.FullError{Path: "dir", Free: -1, Err: cause}, cause, "no room for more"},
		{&store.CorruptError{Space: "dir", Offset: -1, Err: cause}, cause, "restore a backup"},
	}
	for _, tt := range tests {
		if !errors.Is(tt.err, tt.kind) {
			t.Errorf("%v is not %v", tt.err, tt.kind)
		}
		for _, part := range []string{"store: ", "dir", tt.advice} {
			if !strings.Contains(tt.err.Error(), part) {
				t.Errorf("%q does not say %q", tt.err, part)
			}
		}
	}
	newer := &store.ForeignError{Kind: store.ErrNewer}
	if errors.Is(newer, store.ErrForeign) {
		t.Error("a newer format is also a foreign one")
	}
}
