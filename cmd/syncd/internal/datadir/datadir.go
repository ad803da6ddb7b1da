// Package datadir knows what lies in syncd's data directory:
//
//	store/       the node's store, whose lock is the directory's
//	peers.json   the peers to connect to
//	tokens.json  the tokens that the daemon accepts, if it asks for any
//	address      where the daemon listens, while it runs
//	local.token  by which the programs of its user speak to it, while it asks for tokens
//	server.pem   the certificate by which they know it, while it has one
package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// ErrForeign is the kind of every [*ForeignError].
var ErrForeign = errors.New("datadir: not a data directory")

// A ForeignError reports a directory that holds something else.
type ForeignError struct {
	Dir   string
	Found string // the name of something that syncd has not put there
}

// Error says what was found and what to do.
func (e *ForeignError) Error() string {
	return fmt.Sprintf("datadir: %s is no data directory, it holds %s; choose an empty or a new one", e.Dir, e.Found)
}

// Is makes a ForeignError match [ErrForeign].
func (e *ForeignError) Is(target error) bool { return target == ErrForeign }

// ErrNotRunning: no daemon has the directory open, or none ever had.
var ErrNotRunning = errors.New("datadir: no daemon runs")

// A Dir is a data directory by its absolute path.
type Dir string

// Default returns the directory of a user who names none: joinery in
// XDG_DATA_HOME or in the system's place for data of programs.
func Default() (Dir, error) {
	if base := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(base) {
		return Dir(filepath.Join(base, "joinery")), nil
	}
	switch runtime.GOOS {
	case "windows", "darwin":
		base, err := os.UserConfigDir() // %AppData%, ~/Library/Application Support
		return Dir(filepath.Join(base, "joinery")), err
	}
	home, err := os.UserHomeDir()
	return Dir(filepath.Join(home, ".local", "share", "joinery")), err
}

// At returns the directory at path, or the default one if path is empty.
func At(path string) (Dir, error) {
	if path == "" {
		return Default()
	}
	abs, err := filepath.Abs(path)
	return Dir(abs), err
}

// Store returns the path of the store.
func (d Dir) Store() string { return filepath.Join(string(d), "store") }

// Peers returns the path of the list of peers.
func (d Dir) Peers() string { return filepath.Join(string(d), "peers.json") }

// Tokens returns the path of the list of tokens.
func (d Dir) Tokens() string { return filepath.Join(string(d), "tokens.json") }

func (d Dir) address() string     { return filepath.Join(string(d), "address") }
func (d Dir) localToken() string  { return filepath.Join(string(d), "local.token") }
func (d Dir) certificate() string { return filepath.Join(string(d), "server.pem") }

// Prepare makes the directory, for its owner only, unless it is there. A
// directory with other things in it is a [*ForeignError].
func (d Dir) Prepare() error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("datadir: %w", err)
	}
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return fmt.Errorf("datadir: %w", err)
	}
	for _, e := range entries {
		if !d.owns(e) {
			return &ForeignError{string(d), e.Name()}
		}
	}
	return nil
}

func (d Dir) owns(e fs.DirEntry) bool {
	path := filepath.Join(string(d), strings.TrimSuffix(e.Name(), newSuffix))
	switch path {
	case d.Store():
		return e.IsDir()
	case d.Peers(), d.Tokens(), d.address(), d.localToken(), d.certificate():
		return !e.IsDir()
	}
	return e.Name() == "lost+found" || e.Name() == ".DS_Store"
}

// SetAddress notes where the daemon listens. It begins with http:// or https://.
func (d Dir) SetAddress(url string) error { return WriteFile(d.address(), []byte(url+"\n")) }

// ClearAddress forgets it, and what belongs to it.
func (d Dir) ClearAddress() {
	for _, path := range []string{d.address(), d.localToken(), d.certificate()} {
		_ = os.Remove(path)
	}
}

// SetLocalToken notes the token by which programs of the daemon's user speak to it.
func (d Dir) SetLocalToken(token string) error {
	return WriteFile(d.localToken(), []byte(token+"\n"))
}

// LocalToken returns that token, empty if there is none.
func (d Dir) LocalToken() (string, error) {
	b, err := readIfThere(d.localToken())
	return strings.TrimSpace(string(b)), err
}

// SetCertificate notes the daemon's certificate, in PEM.
func (d Dir) SetCertificate(pem []byte) error { return WriteFile(d.certificate(), pem) }

// Certificate returns it, nil if there is none.
func (d Dir) Certificate() ([]byte, error) { return readIfThere(d.certificate()) }

func readIfThere(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("datadir: %w", err)
	}
	return b, nil
}

// Address returns where the daemon listens that has, or had last, the directory
// open. There may be none any more. Without one the error is [ErrNotRunning].
func (d Dir) Address() (string, error) {
	b, err := os.ReadFile(d.address())
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w on %s", ErrNotRunning, d)
	}
	if err != nil {
		return "", fmt.Errorf("datadir: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// newSuffix marks a file that is being written.
const newSuffix = ".new"

// WriteFile makes content the content of a file, durably: whoever reads the
// file, even after a crash, finds the old content or the new.
func WriteFile(path string, content []byte) error {
	if err := writeSynced(path+newSuffix, content); err != nil {
		return fmt.Errorf("datadir: %w", err)
	}
	if err := os.Rename(path+newSuffix, path); err != nil {
		return fmt.Errorf("datadir: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func writeSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDir makes a rename in dir durable. Windows has no such call.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("datadir: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("datadir: %w", err)
	}
	return nil
}
