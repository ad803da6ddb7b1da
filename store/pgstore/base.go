package pgstore

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/internal/overlay"
)

// A queryFunc runs one statement in a transaction and calls row for each row
// of its result, which row must copy.
type queryFunc func(row func(pgx.Rows) error, sql string, args ...any) error

// base is a transaction of the server as transactions of the store read it.
type base struct {
	sql   *statements
	query queryFunc
}

var _ overlay.Base = (*base)(nil)

// ErrTable is the kind of the error about a table that the contract does not
// have.
var ErrTable = errors.New("pgstore: no such table")

// table returns the statements about k's table.
func (b *base) table(k overlay.Key) (tableSQL, error) {
	if t, ok := b.sql.tables[k.Table()]; ok {
		return t, nil
	}
	return tableSQL{}, fmt.Errorf("%w: %d; use one of package store's", ErrTable, k.Table())
}

// Get implements [overlay.Base].
func (b *base) Get(k overlay.Key) (value []byte, err error) {
	t, err := b.table(k)
	if err != nil {
		return nil, err
	}
	var crc int32
	found := false
	err = b.query(func(r pgx.Rows) error {
		found = true
		return r.Scan(&value, &crc)
	}, t.get, k.Space(), k.User())
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, store.ErrNotFound
	}
	return value, verify(k, value, crc)
}

// Pages of a scan grow, in records: many scans are for the first few.
const (
	firstPage  = 16
	pageGrowth = 8
	lastPage   = 4096
)

// Scan implements [overlay.Base].
func (b *base) Scan(prefix overlay.Key, after []byte) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for table := range b.tablesOf(prefix) {
			if !b.scanTable(table, after, yield) {
				return
			}
		}
	}
}

// tablesOf yields prefix, or if it stops at a space the prefixes of its tables.
func (b *base) tablesOf(prefix overlay.Key) iter.Seq[overlay.Key] {
	return func(yield func(overlay.Key) bool) {
		if len(prefix.Inner()) > 0 {
			yield(prefix)
			return
		}
		for _, t := range inOrder {
			if !yield(overlay.AppendKey(nil, string(prefix.Space()), t, nil)) {
				return
			}
		}
	}
}

// scanTable is Scan for a prefix within a table; it reports whether to go on.
func (b *base) scanTable(prefix overlay.Key, after []byte, yield func(store.Record, error) bool) bool {
	p := page{base: b, prefix: prefix, start: bytes.Clone(prefix.User()), end: successor(prefix.User())}
	if after != nil && bytes.Compare(after, prefix.Inner()) >= 0 {
		p.start = next(after[1:])
	}
	for limit := firstPage; !p.done; limit = min(limit*pageGrowth, lastPage) {
		records, err := p.read(limit)
		if err != nil {
			yield(store.Record{}, err)
			return false
		}
		for _, r := range records {
			if !yield(r, nil) {
				return false
			}
		}
	}
	return true
}

// A page is where a scan of a table goes on.
type page struct {
	base       *base
	prefix     overlay.Key
	start, end []byte // user keys; a nil end is none
	done       bool
}

// read returns the next records, at most limit.
func (p *page) read(limit int) ([]store.Record, error) {
	t, err := p.base.table(p.prefix)
	if err != nil {
		return nil, err
	}
	records := make([]store.Record, 0, limit)
	k := overlay.AppendKey(nil, string(p.prefix.Space()), p.prefix.Table(), nil)
	row := func(r pgx.Rows) error {
		var user, value []byte
		var crc int32
		if err := r.Scan(&user, &value, &crc); err != nil {
			return err
		}
		full := append(k[:len(k):len(k)], user...)
		records = append(records, store.Record{Key: full.Inner(), Value: value})
		return verify(full, value, crc)
	}
	args := []any{p.prefix.Space(), p.start, limit}
	if p.end == nil {
		err = p.base.query(row, t.scan, args...)
	} else {
		err = p.base.query(row, t.scanTo, append(args, p.end)...)
	}
	p.done = len(records) == 0
	if !p.done {
		p.start = next(records[len(records)-1].Key[1:])
	}
	return records, err
}

// next returns the least key above key.
func next(key []byte) []byte { return append(key[:len(key):len(key)], 0) }

// successor returns the least key above all with a prefix, nil if there is
// none.
func successor(prefix []byte) []byte {
	s := bytes.Clone(prefix)
	for i := len(s) - 1; i >= 0; i-- {
		if s[i]++; s[i] != 0 {
			return s[:i+1]
		}
	}
	return nil
}

// Spaces implements [overlay.Base].
func (b *base) Spaces() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var names []string
		err := b.query(func(r pgx.Rows) error {
			var name []byte
			err := r.Scan(&name)
			names = append(names, string(name))
			return err
		}, b.sql.spaces)
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
		if err != nil {
			yield("", err)
		}
	}
}
