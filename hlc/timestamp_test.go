package hlc_test

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/joinery-crdt/joinery/hlc"
)

var (
	_ encoding.TextAppender      = hlc.Timestamp(0)
	_ encoding.TextMarshaler     = hlc.Timestamp(0)
	_ encoding.TextUnmarshaler   = (*hlc.Timestamp)(nil)
	_ encoding.BinaryAppender    = hlc.Timestamp(0)
	_ encoding.BinaryMarshaler   = hlc.Timestamp(0)
	_ encoding.BinaryUnmarshaler = (*hlc.Timestamp)(nil)
)

func TestNewSaturates(t *testing.T) {
	for _, test := range []struct {
		millis  int64
		counter uint16
		want    hlc.Timestamp
	}{
		{0, 0, 0},
		{1, 2, 1<<16 + 2},
		{-1, 7, 0},
		{-1 << 63, 0xffff, 0},
		{hlc.MaxMillis, 0xffff, hlc.Max},
		{hlc.MaxMillis, 0, 0xffff_ffff_ffff_0000},
		{hlc.MaxMillis + 1, 0, hlc.Max},
		{1<<63 - 1, 1, hlc.Max},
	} {
		if got := hlc.New(test.millis, test.counter); got != test.want {
			t.Errorf("New(%d, %d) = %v, want %v", test.millis, test.counter, got, test.want)
		}
	}
}

func TestParts(t *testing.T) {
	stamp := hlc.New(1_700_000_000_123, 456)
	if stamp.Millis() != 1_700_000_000_123 || stamp.Counter() != 456 {
		t.Errorf("parts = %d, %d, want 1700000000123, 456", stamp.Millis(), stamp.Counter())
	}
	want := time.Date(2023, 11, 14, 22, 13, 20, 123e6, time.UTC)
	if got := stamp.Time(); !got.Equal(want) || got.Location() != time.UTC {
		t.Errorf("Time = %v, want %v", got, want)
	}
	if got := hlc.Max.Time().Year(); got != 10889 {
		t.Errorf("year of Max = %d, want 10889", got)
	}
}

func TestFromTime(t *testing.T) {
	for _, millis := range []int64{0, 1, 1_700_000_000_123, hlc.MaxMillis} {
		got, err := hlc.FromTime(time.UnixMilli(millis).Add(999 * time.Microsecond))
		if want := hlc.New(millis, 0); got != want || err != nil {
			t.Errorf("FromTime(%d ms) = %v, %v, want %v", millis, got, err, want)
		}
	}
	for _, millis := range []int64{-1, hlc.MaxMillis + 1} {
		_, err := hlc.FromTime(time.UnixMilli(millis))
		if e, ok := errors.AsType[*hlc.RangeError](err); !ok || e.Millis != millis || !errors.Is(err, hlc.ErrRange) {
			t.Errorf("FromTime(%d ms) error = %v, want a RangeError", millis, err)
		}
	}
}

func TestOrderIsTheSameInEveryForm(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		a := hlc.Timestamp(rng.Uint64() >> rng.IntN(64))
		b := hlc.Timestamp(rng.Uint64() >> rng.IntN(64))
		abytes, _ := a.MarshalBinary()
		bbytes, _ := b.MarshalBinary()
		want := a.Compare(b)
		if got := bytes.Compare(abytes, bbytes); got != want {
			t.Errorf("binary order of %v and %v is %d, want %d", a, b, got, want)
		}
		if got := strings.Compare(a.String(), b.String()); got != want {
			t.Errorf("text order of %v and %v is %d, want %d", a, b, got, want)
		}
		if got := a.Before(b); got != (want < 0) {
			t.Errorf("Before(%v, %v) = %t, Compare = %d", a, b, got, want)
		}
	}
}

func TestTextForm(t *testing.T) {
	stamp := hlc.New(0x0123_4567_89ab, 0xcdef)
	if got, want := stamp.String(), "0123456789abcdef"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
	if got, want := hlc.Timestamp(0).String(), "0000000000000000"; got != want {
		t.Errorf("String of zero = %q, want %q", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{
		"", "0", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF",
		"0x23456789abcdef", " 123456789abcdef", "+123456789abcdef", "0123456789abcde\x00",
		"0123456789abcdé", strings.Repeat("0", 1<<16),
	} {
		got, err := hlc.Parse(s)
		e, ok := errors.AsType[*hlc.FormatError](err)
		if got != 0 || !ok || !errors.Is(err, hlc.ErrFormat) {
			t.Errorf("Parse(%.20q) = %v, %v, want a FormatError", s, got, err)
			continue
		}
		if len(e.Input) > 32 || !strings.HasPrefix(s, e.Input) || !strings.Contains(err.Error(), "want 16") {
			t.Errorf("Parse(%.20q): unhelpful error %q", s, err)
		}
	}
}

func TestUnmarshalLeavesTheReceiverOnError(t *testing.T) {
	stamp := hlc.New(1, 1)
	if err := stamp.UnmarshalText([]byte("x")); !errors.Is(err, hlc.ErrFormat) {
		t.Errorf("UnmarshalText = %v, want ErrFormat", err)
	}
	if err := stamp.UnmarshalBinary(make([]byte, 9)); !errors.Is(err, hlc.ErrFormat) {
		t.Errorf("UnmarshalBinary of 9 bytes = %v, want ErrFormat", err)
	}
	if err := stamp.UnmarshalBinary(make([]byte, 7)); !errors.Is(err, hlc.ErrFormat) {
		t.Errorf("UnmarshalBinary of 7 bytes = %v, want ErrFormat", err)
	}
	if want := hlc.New(1, 1); stamp != want {
		t.Errorf("receiver = %v, want it unchanged at %v", stamp, want)
	}
}

func TestDecodeBinary(t *testing.T) {
	stamp := hlc.New(5, 6)
	encoded, _ := stamp.AppendBinary([]byte("head"))
	encoded = append(encoded, "tail"...)
	got, rest, err := hlc.DecodeBinary(encoded[len("head"):])
	if got != stamp || string(rest) != "tail" || err != nil {
		t.Errorf("DecodeBinary = %v, %q, %v, want %v, \"tail\"", got, rest, err, stamp)
	}
	if _, _, err := hlc.DecodeBinary(encoded[:7]); !errors.Is(err, hlc.ErrFormat) {
		t.Errorf("DecodeBinary of 7 bytes = %v, want ErrFormat", err)
	}
}

func TestJSONIsAStringNeverANumber(t *testing.T) {
	type record struct {
		At  hlc.Timestamp            `json:"at"`
		Map map[hlc.Timestamp]string `json:"map"`
	}
	in := record{At: hlc.Max - 1, Map: map[hlc.Timestamp]string{1: "x"}}
	got, err := json.Marshal(in)
	want := `{"at":"fffffffffffffffe","map":{"0000000000000001":"x"}}`
	if err != nil || string(got) != want {
		t.Errorf("Marshal = %s, %v, want %s", got, err, want)
	}
	var out record
	if err := json.Unmarshal(got, &out); err != nil || out.At != in.At || out.Map[1] != "x" {
		t.Errorf("Unmarshal = %+v, %v, want %+v", out, err, in)
	}
	if err := json.Unmarshal([]byte(`{"at":18446744073709551614}`), &out); err == nil {
		t.Error("Unmarshal of a JSON number succeeded")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0123456789abcdef")
	f.Add("")
	f.Add("0123456789ABCDEF")
	f.Add("ffffffffffffffff")
	f.Fuzz(func(t *testing.T, s string) {
		stamp, err := hlc.Parse(s)
		if err != nil {
			if !errors.Is(err, hlc.ErrFormat) {
				t.Errorf("Parse(%q) = %v, want ErrFormat", s, err)
			}
			return
		}
		if got := stamp.String(); got != s {
			t.Errorf("Parse(%q) prints as %q", s, got)
		}
	})
}

func FuzzDecodeBinary(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1})
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		stamp, rest, err := hlc.DecodeBinary(b)
		if err != nil {
			if !errors.Is(err, hlc.ErrFormat) || len(b) >= hlc.BinaryLen {
				t.Errorf("DecodeBinary(%x) = %v", b, err)
			}
			return
		}
		again, _ := stamp.AppendBinary(nil)
		if !bytes.Equal(append(again, rest...), b) {
			t.Errorf("DecodeBinary(%x) encodes as %x", b, again)
		}
		if back, err := hlc.Parse(stamp.String()); back != stamp || err != nil {
			t.Errorf("Parse(String(%x)) = %v, %v", b, back, err)
		}
	})
}
