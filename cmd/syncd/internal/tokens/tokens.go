// Package tokens keeps the tokens that a daemon accepts, and those that it shows
// to its peers. Tokens are read from files, never from arguments or URLs.
//
// # Guarantees
//
//   - A list that is changed on disk is in force at the next check; one that has
//     become unusable leaves the last usable one in force, and a problem says so.
//   - A list holds hashes: who reads it cannot use the tokens.
//
// # Limits
//
// A token is a secret that is shown to the other side: without TLS, whoever reads
// the network can use it.
package tokens

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/datadir"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// ErrFile: a file of tokens cannot be used.
var ErrFile = errors.New("tokens: unusable file")

// ErrName is the kind of errors about the name of a token.
var ErrName = errors.New("tokens: unusable name")

// What a token allows, each with what stands before it.
const (
	Read  = "read"
	Write = "write"
	Admin = "admin" // peers, devices, quarantine, status, and all spaces
)

// AllSpaces in an entry stands for every space.
const AllSpaces = "*"

// fileVersion is that of the list's format.
const fileVersion = 1

// file is a list of tokens as it is stored.
type file struct {
	Version int     `json:"version"`
	Tokens  []Entry `json:"tokens"`
}

// An Entry is one token of a list.
type Entry struct {
	Name    string    `json:"name"`
	SHA256  string    `json:"sha256,omitempty"` // of the token, hexadecimal
	Token   string    `json:"token,omitempty"`  // or the token itself
	Spaces  []string  `json:"spaces"`           // or AllSpaces
	Access  string    `json:"access"`           // Read, Write or Admin
	Expires time.Time `json:"expires,omitzero"` // zero for never
}

// form is that of tokens: a mark by which leaked ones are found, and 256 bits.
var form = regexp.MustCompile(`^joinery_[A-Za-z0-9_-]{43}$`)

// New draws a token.
func New() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return "joinery_" + base64.RawURLEncoding.EncodeToString(b)
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// May returns what the bearer may do with a space.
func (e Entry) May(space string) crdtsync.Access {
	switch {
	case e.Access == Admin:
		return crdtsync.AccessWrite
	case !slices.Contains(e.Spaces, space) && !slices.Contains(e.Spaces, AllSpaces):
		return crdtsync.AccessNone
	case e.Access == Write:
		return crdtsync.AccessWrite
	}
	return crdtsync.AccessRead
}

// Expired reports whether the token has ended.
func (e Entry) Expired(now time.Time) bool { return !e.Expires.IsZero() && !now.Before(e.Expires) }

// check returns what is wrong with an entry, empty for nothing.
func (e Entry) check() string {
	hash, err := hex.DecodeString(e.SHA256)
	switch {
	case e.Name == "":
		return "a token has no name"
	case (e.SHA256 == "") == (e.Token == ""):
		return fmt.Sprintf("%q needs either sha256 or token", e.Name)
	case e.Token != "" && !form.MatchString(e.Token):
		return fmt.Sprintf("%q is no token: make one with: syncd token issue", e.Name)
	case e.SHA256 != "" && (err != nil || len(hash) != sha256.Size):
		return fmt.Sprintf("the sha256 of %q is not 64 hexadecimal digits", e.Name)
	case e.Access != Read && e.Access != Write && e.Access != Admin:
		return fmt.Sprintf("the access of %q is %q, not read, write or admin", e.Name, e.Access)
	case len(e.Spaces) == 0 && e.Access != Admin:
		return fmt.Sprintf("%q names no spaces: list some, or %q", e.Name, AllSpaces)
	}
	return ""
}

// Load reads a list, by name. The error is [ErrFile], and [fs.ErrNotExist] if
// there is none.
func Load(path string) ([]Entry, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	entries, problem := parse(b)
	if problem != "" {
		return nil, fmt.Errorf("%w: %s: %s", ErrFile, path, problem)
	}
	return entries, nil
}

func parse(b []byte) (entries []Entry, problem string) {
	var f file
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, err.Error()
	}
	if f.Version != fileVersion {
		return nil, fmt.Sprintf("it has version %d, this program reads %d", f.Version, fileVersion)
	}
	slices.SortFunc(f.Tokens, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	for i, e := range f.Tokens {
		if problem := e.check(); problem != "" {
			return nil, problem
		}
		if i > 0 && f.Tokens[i-1].Name == e.Name {
			return nil, fmt.Sprintf("two tokens are named %q", e.Name)
		}
	}
	return f.Tokens, ""
}

// Issue draws a token, adds it to the list at path, which is made if need be, and
// returns it: it is nowhere else. One of the same name must have expired.
func Issue(path string, e Entry) (token string, err error) {
	entries, err := Load(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	token = New()
	e.SHA256 = hashOf(token)
	if problem := e.check(); problem != "" {
		return "", fmt.Errorf("%w: %s", ErrName, problem)
	}
	for i, other := range entries {
		switch {
		case other.Name != e.Name:
		case !other.Expired(time.Now()):
			return "", fmt.Errorf("%w: there is a token %q already; choose another name, or take that one back with: syncd token revoke", ErrName, e.Name)
		default:
			entries = slices.Delete(entries, i, i+1)
			return token, save(path, append(entries, e))
		}
	}
	return token, save(path, append(entries, e))
}

// Revoke takes a token off the list at path.
func Revoke(path, name string) error {
	entries, err := Load(path)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return fmt.Errorf("%w: there is no token %q; see: syncd token list", ErrName, name)
	}
	return save(path, slices.Delete(entries, i, i+1))
}

func save(path string, entries []Entry) error {
	b, err := json.MarshalIndent(file{fileVersion, entries}, "", "  ")
	if err != nil {
		return err
	}
	return datadir.WriteFile(path, append(b, '\n'))
}
