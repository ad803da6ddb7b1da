package replay_test

import (
	"bytes"
	"flag"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/replay"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

var historyFile = flag.String("history", "", "recorded history to measure compression on")

// BenchmarkCompression measures what compressing the frames of a history costs
// and saves: those of catching up, those that push one change, and those of a
// snapshot. It reports bytes as a part of the plain ones.
//
//	go test ./cmd/syncd/internal/replay -run XXX -bench Compression -history FILE.ndjson.gz
func BenchmarkCompression(b *testing.B) {
	if *historyFile == "" {
		b.Skip("give it a -history")
	}
	h, err := replay.Load(*historyFile)
	if err != nil {
		b.Fatal(err)
	}
	n, err := replay.Replay(b.Context(), h, replay.Cast{Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer n.Close()
	for name, frames := range framesOf(b, n) {
		b.Run(name, func(b *testing.B) { compareCodecs(b, frames) })
	}
}

// framesOf returns the encoded frames of a node's space by what they are for.
func framesOf(b *testing.B, n *node.Node) map[string][][]byte {
	b.Helper()
	frames := make(map[string][][]byte)
	add := func(name string, f crdtsync.Frame) {
		raw, err := wire.Append(nil, f)
		if err != nil {
			b.Fatal(err)
		}
		frames[name] = append(frames[name], raw)
	}
	var file bytes.Buffer
	if _, err := n.Space(replay.SpaceName).Export(b.Context(), &file, node.Cut{}); err != nil {
		b.Fatal(err)
	}
	r, err := wire.NewFileReader(&file)
	if err != nil {
		b.Fatal(err)
	}
	for f, err := range r.Frames() {
		if err != nil {
			b.Fatal(err)
		}
		c := f.(*crdtsync.Changes)
		add("catching up", c)
		for i := range c.Changes {
			add("pushing one", &crdtsync.Changes{Space: c.Space, Changes: c.Changes[i : i+1]})
		}
	}
	chunk, size := &crdtsync.SnapshotChunk{Space: replay.SpaceName}, 0
	err = n.Store().View(b.Context(), func(r store.Reader) error {
		for rec, err := range r.Scan(replay.SpaceName, store.Cells, store.Range{}) {
			if err != nil {
				return err
			}
			if size += len(rec.Key) + len(rec.Value); size > 48<<10 {
				add("snapshot", chunk)
				chunk, size = &crdtsync.SnapshotChunk{Space: replay.SpaceName}, 0
			}
			chunk.Parts = append(chunk.Parts, crdtsync.CellPart{Key: string(rec.Key), State: append([]byte{}, rec.Value...)})
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	add("snapshot", chunk)
	return frames
}

// codec is a way to make frames shorter.
type codec struct {
	name   string
	encode func(frame []byte) []byte
	decode func(encoded []byte) ([]byte, error)
}

func codecs(b *testing.B) []codec {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		b.Fatal(err)
	}
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		b.Fatal(err)
	}
	return []codec{
		{"s2", func(f []byte) []byte { return s2.Encode(nil, f) }, func(e []byte) ([]byte, error) { return s2.Decode(nil, e) }},
		{"s2-better", func(f []byte) []byte { return s2.EncodeBetter(nil, f) }, func(e []byte) ([]byte, error) { return s2.Decode(nil, e) }},
		{"zstd-fastest", func(f []byte) []byte { return w.EncodeAll(f, nil) }, func(e []byte) ([]byte, error) { return r.DecodeAll(e, nil) }},
		{"as-sent", wire.Compress, func(e []byte) ([]byte, error) { _, err := wire.Decode(e); return nil, err }},
		{"plain", func(f []byte) []byte { return f }, func(e []byte) ([]byte, error) { _, err := wire.Decode(e); return nil, err }},
	}
}

func compareCodecs(b *testing.B, frames [][]byte) {
	plain := 0
	for _, f := range frames {
		plain += len(f)
	}
	for _, c := range codecs(b) {
		encoded, small := make([][]byte, len(frames)), 0
		for i, f := range frames {
			encoded[i] = c.encode(f)
			small += len(encoded[i])
		}
		b.Run(c.name+"/encode", func(b *testing.B) {
			b.SetBytes(int64(plain))
			for b.Loop() {
				for _, f := range frames {
					c.encode(f)
				}
			}
			b.ReportMetric(float64(small)/float64(plain), "of-plain")
			b.ReportMetric(float64(plain)/float64(len(frames)), "bytes/frame")
		})
		b.Run(c.name+"/decode", func(b *testing.B) {
			b.SetBytes(int64(plain))
			for b.Loop() {
				for _, e := range encoded {
					if _, err := c.decode(e); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
