package jsonvalue

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"github.com/joinery-crdt/joinery/crdt"
)

// Check returns an [*Error] unless text is one JSON value of at most the given
// depth, in UTF-8, without unpaired surrogates and repeated keys.
func Check(text []byte, depth int) error {
	_, err := decode(text, depth)
	return err
}

// decode reads one value and nothing after it.
func decode(text []byte, depth int) (any, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	d := decoder{json.NewDecoder(bytes.NewReader(text))}
	d.UseNumber()
	return d.value(depth)
}

// checkText finds what encoding/json would correct silently, and bad syntax.
func checkText(text []byte) error {
	if !utf8.Valid(text) {
		return &Error{"the text is not valid UTF-8", -1}
	}
	var raw json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return syntaxError(err)
	}
	return checkSurrogates(text)
}

func syntaxError(err error) error {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return &Error{e.Error(), e.Offset}
	}
	return &Error{strings.TrimPrefix(err.Error(), "json: "), -1}
}

// checkSurrogates wants every \u escape of a surrogate to be one of a pair. In
// valid JSON a backslash stands only in strings.
func checkSurrogates(text []byte) error {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		i++
		if text[i] != 'u' || !utf16.IsSurrogate(escaped(text[i:])) {
			continue
		}
		if utf16.DecodeRune(escaped(text[i:]), escaped(text[i+6:])) == utf8.RuneError || text[i+5] != '\\' {
			return &Error{"an unpaired surrogate, which is no text", int64(i)}
		}
		i += 10
	}
	return nil
}

// escaped returns the code unit of an escape that begins with u, or 0.
func escaped(b []byte) rune {
	if len(b) < 5 || b[0] != 'u' {
		return 0
	}
	n, _ := strconv.ParseUint(string(b[1:5]), 16, 16)
	return rune(n)
}

type decoder struct{ *json.Decoder }

func (d decoder) fail(format string, args ...any) error {
	return &Error{fmt.Sprintf(format, args...), d.InputOffset()}
}

// value reads one value, nested at most depth deep.
func (d decoder) value(depth int) (any, error) {
	tok, err := d.Token()
	if err == io.EOF {
		return nil, d.fail("no value")
	}
	if err != nil {
		return nil, syntaxError(err)
	}
	switch tok := tok.(type) {
	case json.Delim:
		return d.nested(tok, depth)
	case json.Number:
		return d.number(tok.String())
	}
	return tok, nil
}

func (d decoder) nested(open json.Delim, depth int) (v any, err error) {
	if depth == 0 {
		return nil, d.fail("nested too deep; the limit is %d", MaxDepth)
	}
	if open == '[' {
		v, err = d.array(depth)
	} else {
		v, err = d.object(depth)
	}
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != nil {
		return nil, syntaxError(err)
	}
	return v, nil
}

func (d decoder) array(depth int) (any, error) {
	items := []any{}
	for d.More() {
		v, err := d.value(depth - 1)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
	}
	return items, nil
}

func (d decoder) object(depth int) (any, error) {
	fields := map[string]any{}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return nil, syntaxError(err)
		}
		key, _ := tok.(string)
		if _, twice := fields[key]; twice {
			return nil, d.fail("the key %q comes twice", key)
		}
		if fields[key], err = d.value(depth - 1); err != nil {
			return nil, err
		}
	}
	if v, ok := fields[escapeKey]; ok && len(fields) == 1 {
		return d.escape(v)
	}
	return fields, nil
}

// escape reads what stands for a value that JSON cannot say.
func (d decoder) escape(v any) (any, error) {
	text, ok := v.(string)
	raw, err := hex.DecodeString(text)
	if !ok || err != nil {
		return nil, d.fail("%q wants the hexadecimal encoding of a value", escapeKey)
	}
	if err := crdt.CheckValue(raw); err != nil {
		return nil, err
	}
	return cbor.RawMessage(raw), nil
}

func (d decoder) number(text string) (any, error) {
	if strings.ContainsAny(text, ".eE") {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, d.fail("the number %s is beyond 64-bit floats; give it as text", text)
		}
		return f, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil, d.fail("the integer %.40s is beyond 64 bits; give it as text", text)
	}
	return n, nil
}
