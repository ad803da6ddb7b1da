package hlc_test

import (
	"testing"

	"github.com/joinery-crdt/joinery/hlc"
)

func BenchmarkNow(b *testing.B) {
	for _, bench := range []struct {
		name string
		cfg  hlc.Config
	}{
		{"wall=system", hlc.Config{}},
		{"wall=frozen", hlc.Config{Now: wallAt(100).now}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			c := newClock(b, bench.cfg)
			b.ReportAllocs()
			for b.Loop() {
				c.Now()
			}
		})
	}
}

func BenchmarkNowParallel(b *testing.B) {
	c := newClock(b, hlc.Config{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Now()
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	c := newClock(b, hlc.Config{})
	remote := c.Now()
	b.ReportAllocs()
	for b.Loop() {
		remote++
		if err := c.Observe(remote); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLeasedNow(b *testing.B) {
	l := newLeased(b, hlc.Config{}, &boundFile{})
	b.ReportAllocs()
	for b.Loop() {
		leasedNow(b, l)
	}
}

func BenchmarkAppendText(b *testing.B) {
	buf := make([]byte, 0, hlc.TextLen)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = hlc.Max.AppendText(buf)
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := hlc.Parse("0123456789abcdef"); err != nil {
			b.Fatal(err)
		}
	}
}
