package wire_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

var header = wire.FileHeader{Space: "notes", Origin: origin(0xa1), Changes: 3}

// dropFile returns a drop file of three changes in two frames, and another
// frame between them.
func dropFile(t testing.TB) ([]byte, []crdtsync.Frame) {
	t.Helper()
	content := []crdtsync.Frame{
		&crdtsync.Changes{Space: "notes", Changes: [][]byte{[]byte("one"), []byte("two")}},
		&crdtsync.Ping{N: 1},
		&crdtsync.Changes{Space: "notes", Changes: [][]byte{bytes.Repeat([]byte("three "), 50)}},
	}
	var buf bytes.Buffer
	w, err := wire.NewFileWriter(&buf, header)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range content {
		if err := w.Write(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), content
}

// readAll reads a drop file to its end or its first error.
func readAll(r io.Reader) (h wire.FileHeader, frames []crdtsync.Frame, err error) {
	f, err := wire.NewFileReader(r)
	if err != nil {
		return h, nil, err
	}
	for frame, err := range f.Frames() {
		if err != nil {
			return f.Header(), frames, err
		}
		frames = append(frames, frame)
	}
	return f.Header(), frames, nil
}

func TestFileRoundTrip(t *testing.T) {
	b, content := dropFile(t)
	for name, r := range map[string]io.Reader{"whole": bytes.NewReader(b), "byte by byte": iotest.OneByteReader(bytes.NewReader(b))} {
		h, got, err := readAll(r)
		if err != nil || h != header || !reflect.DeepEqual(got, content) {
			t.Errorf("%s: read %v and %d frames, %v; want what was written", name, h, len(got), err)
		}
	}
}

func TestFileOfNothing(t *testing.T) {
	var buf bytes.Buffer
	w, err := wire.NewFileWriter(&buf, wire.FileHeader{Space: "empty"})
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if h, frames, err := readAll(&buf); err != nil || h.Space != "empty" || len(frames) != 0 {
		t.Fatalf("read %v, %d frames, %v", h, len(frames), err)
	}
}

func wantFileError(t *testing.T, name string, err error, text string) {
	t.Helper()
	if _, ok := errors.AsType[*wire.FileError](err); !ok || !errors.Is(err, wire.ErrFile) || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v; want a FileError that says %q", name, err, text)
	}
}

func TestFileTruncated(t *testing.T) {
	b, _ := dropFile(t)
	for n := range b {
		_, _, err := readAll(bytes.NewReader(b[:n]))
		if e, ok := errors.AsType[*wire.FileError](err); !ok || !strings.Contains(e.Problem, "ends early") || e.Offset > int64(n) {
			t.Fatalf("the first %d of %d bytes: %v; want a FileError that says it ends early", n, len(b), err)
		}
	}
}

func TestFileDamaged(t *testing.T) {
	b, content := dropFile(t)
	for i := range b {
		for bit := range 8 {
			damaged := bytes.Clone(b)
			damaged[i] ^= 1 << bit
			_, frames, err := readAll(bytes.NewReader(damaged))
			if !errors.Is(err, wire.ErrFile) {
				t.Fatalf("bit %d of byte %d flipped: %v; want ErrFile", bit, i, err)
			}
			if len(frames) > len(content) || len(frames) > 0 && !reflect.DeepEqual(frames, content[:len(frames)]) {
				t.Fatalf("bit %d of byte %d flipped: other frames than were written", bit, i)
			}
		}
	}
}

// record returns a record that holds the frame.
func record(frame []byte) []byte {
	b := append([]byte{byte(len(frame))}, frame...)
	return append(b, crc(frame)...)
}

func TestFileRefuses(t *testing.T) {
	b, _ := dropFile(t)
	const magic = "joinery drop file 1\n"
	rest := string(b[len(magic):])
	end := strings.LastIndex(rest, string([]byte{241, 0})) - 1 // its length takes one byte
	for name, test := range map[string]struct{ file, says string }{
		"foreign":          {"PK\x03\x04 something else\n", "not a drop file"},
		"foreign, no line": {strings.Repeat("x", 10_000), "not a drop file"},
		"line too long":    {"joinery drop file " + strings.Repeat("1", 10_000), "not a drop file"},
		"newer":            {"joinery drop file 2\n" + rest, "upgrade"},
		"much newer":       {"joinery drop file 4000000000\n" + rest, "upgrade"},
		"version 0":        {"joinery drop file 0\n" + rest, "never existed"},
		"version 01":       {"joinery drop file 01\n" + rest, "never existed"},
		"trailing byte":    {magic + rest + "x", "follows the end"},
		"twice":            {magic + rest + magic + rest, "follows the end"},
		"length 0":         {magic + "\x00\x00\x00\x00\x00", "damaged length"},
		"length too large": {magic + "\x81\x80\x10" + strings.Repeat("x", 100), "damaged length"},
		"length endless":   {magic + "\xff\xff\xff\xff", "damaged length"},
		"length overlong":  {magic + "\x82\x00" + rest, "damaged length"},
		"no header":        {magic + string(record([]byte{4, 0, 0xa1, 1, 0})), "in the place of FILE-HEADER"},
		"bad header":       {magic + string(record([]byte{240, 0, 0xa0})), "broken"},
		"record missing":   {magic + rest[:end-1-len(encode(t, &crdtsync.Ping{}))] + rest[end:], "damaged"},
		"bad end":          {magic + rest[:end] + string(record([]byte{241, 0, 0xa0})), "broken"},
		"bad frame":        {magic + rest[:end] + string(record([]byte{4, 0, 0xa0})), "PING"},
		"end too early":    {magic + headerRecord(rest) + rest[end:], "does not fit"},
		"nothing after it": {magic + headerRecord(rest), "ends early"},
	} {
		_, _, err := readAll(strings.NewReader(test.file))
		wantFileError(t, name, err, test.says)
	}
}

// TestFileBrokenWriter reads what other programs might write: whole, and wrong.
func TestFileBrokenWriter(t *testing.T) {
	head := raw(t, 240, map[int]any{1: "s", 2: make([]byte, 16), 3: 1})
	change := encode(t, &crdtsync.Changes{Space: "s", Changes: [][]byte{{1}}})
	ignorable := []byte{100, wire.FlagIgnorable}
	for name, test := range map[string]struct {
		records uint64
		frames  [][]byte
		says    string // empty for a good file
	}{
		"good":             {3, [][]byte{head, change, ignorable}, ""},
		"hash":             {3, [][]byte{head, change, {100, wire.FlagIgnorable, 0}}, "does not fit"},
		"count of records": {2, [][]byte{head, change, ignorable}, "does not fit"},
		"too few changes":  {1, [][]byte{head}, "0 changes"},
		"too many changes": {3, [][]byte{head, change, change}, "2 changes"},
		"header twice":     {3, [][]byte{head, change, head}, "FILE-HEADER"},
		"unknown type":     {3, [][]byte{head, change, {100, 0}}, "type-100"},
	} {
		file := []byte("joinery drop file 1\n")
		for _, f := range test.frames {
			file = append(file, record(f)...)
		}
		sum := sha256.Sum256(file)
		if name == "hash" {
			sum[0]++
		}
		file = append(file, record(raw(t, 241, map[int]any{1: test.records, 2: sum[:]}))...)
		_, frames, err := readAll(bytes.NewReader(file))
		if test.says != "" {
			wantFileError(t, name, err, test.says)
		} else if err != nil || len(frames) != 1 {
			t.Errorf("%s: %d frames, %v; want one", name, len(frames), err)
		}
	}
}

// headerRecord returns the first record of what follows the magic line.
func headerRecord(rest string) string { return rest[:1+int(rest[0])+4] }

func TestFileReaderPassesErrorsOn(t *testing.T) {
	b, _ := dropFile(t)
	broken := errors.New("cable")
	for n := range b {
		_, _, err := readAll(io.MultiReader(bytes.NewReader(b[:n]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) || errors.Is(err, wire.ErrFile) {
			t.Fatalf("an error after %d bytes: %v; want it passed on", n, err)
		}
	}
}

func TestFileWriterKeepsToItsHeader(t *testing.T) {
	w, err := wire.NewFileWriter(io.Discard, wire.FileHeader{Space: "s", Changes: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(&crdtsync.Changes{Space: "s", Changes: make([][]byte, 1)}); err != nil {
		t.Fatal(err)
	}
	wantFileError(t, "Close too early", w.Close(), "1 changes fewer")
	err = w.Write(&crdtsync.Changes{Space: "s", Changes: make([][]byte, 2)})
	wantFileError(t, "Write too much", err, "more changes")
}

func TestFileWriterErrors(t *testing.T) {
	if _, err := wire.NewFileWriter(io.Discard, wire.FileHeader{}); !errors.Is(err, wire.ErrFrame) {
		t.Errorf("a file without a space: %v, want ErrFrame", err)
	}
	full := errors.New("disk full")
	pr, pw := io.Pipe()
	pr.CloseWithError(full)
	if _, err := wire.NewFileWriter(pw, header); !errors.Is(err, full) {
		t.Errorf("a writer that fails: %v, want its error", err)
	}
	w, err := wire.NewFileWriter(io.Discard, header)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(&crdtsync.Goodbye{}); !errors.Is(err, wire.ErrFrame) {
		t.Errorf("a frame without bytes: %v, want ErrFrame", err)
	}
}

func FuzzFileReader(f *testing.F) {
	b, _ := dropFile(f)
	f.Add(b)
	f.Add(b[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, frames, err := readAll(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, wire.ErrFile) {
				t.Fatalf("%v, not a FileError", err)
			}
			return
		}
		var again bytes.Buffer
		w, err := wire.NewFileWriter(&again, h)
		for _, frame := range frames {
			err = errors.Join(err, w.Write(frame))
		}
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatalf("a file that was read cannot be written: %v", err)
		}
	})
}

func newWriter(t *testing.T, changes uint64) *wire.FileWriter {
	t.Helper()
	w, err := wire.NewFileWriter(io.Discard, wire.FileHeader{Space: "s", Changes: changes})
	if err != nil {
		t.Fatal(err)
	}
	return w
}
