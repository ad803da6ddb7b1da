package cli

import (
	"encoding/json"
	"strings"
	"unicode"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
)

const valueHelp = `A VALUE is text as it stands, unless it is a JSON string, array or object:
home and '"home"' are the same text. With --json every VALUE is JSON, so that
5, true and null are no texts.`

// parseValue returns the value that an argument stands for.
func (a *app) parseValue(arg string) (jsonvalue.Value, error) {
	if a.json || looksLikeJSON(arg) {
		return jsonvalue.Parse([]byte(arg))
	}
	return jsonvalue.String(arg)
}

// looksLikeJSON reports whether arg is a JSON string, array or object.
func looksLikeJSON(arg string) bool {
	return arg != "" && strings.ContainsRune(`"[{`, rune(arg[0])) && json.Valid([]byte(arg))
}

// display returns a value for people: a text as it stands if it cannot be
// mistaken for anything else, and JSON otherwise.
func display(v jsonvalue.Value) string {
	text := v.Text()
	var s string
	if json.Unmarshal([]byte(text), &s) != nil || text == "null" || mistakable(s) {
		return text
	}
	return s
}

func mistakable(s string) bool {
	return s == "" || strings.TrimSpace(s) != s || json.Valid([]byte(s)) ||
		strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
