package wire_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/joinery-crdt/joinery/sync/wire"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// golden compares got with a file of testdata, or rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile("testdata/"+name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; a change of the format needs a new version, else rewrite it with -update. Got:\n%s", name, got)
	}
}

func crc(b []byte) []byte {
	return binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

// TestGoldenFrames pins the bytes of one frame of each type.
func TestGoldenFrames(t *testing.T) {
	var out strings.Builder
	for _, f := range frames() {
		b := encode(t, f)
		body, err := cbor.Diagnose(b[2:])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s, flags %d\n%s\n%s\n\n", wire.Type(b[0]), b[1], body, hex.EncodeToString(b))
	}
	golden(t, "frames.txt", out.String())
}

// TestGoldenFile pins the bytes of a drop file.
func TestGoldenFile(t *testing.T) {
	b, _ := dropFile(t)
	golden(t, "dropfile.txt", hex.Dump(b))
}

// TestGoldenStaysReadable reads the frames of the golden file, whatever Append
// writes today.
func TestGoldenStaysReadable(t *testing.T) {
	text, err := os.ReadFile("testdata/frames.txt")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for line := range bytes.Lines(text) {
		b, err := hex.DecodeString(strings.TrimSpace(string(line)))
		if err != nil || len(b) == 0 {
			continue
		}
		if f, err := wire.Decode(b); err != nil || f == nil {
			t.Errorf("Decode(%x) = %v, %v", b, f, err)
		}
		read++
	}
	if want := len(frames()); read != want {
		t.Errorf("the golden file holds %d frames, want %d", read, want)
	}
}
