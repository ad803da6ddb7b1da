package pgstore

import (
	"encoding/json"
	"slices"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/internal/overlay"
)

// A statement that writes ends when it has this many records or bytes.
const (
	maxRecords      = 1000
	maxRecordsBytes = 8 << 20
)

// A Description is what the SQL view "cell" shows of a cell.
type Description struct {
	Key     string          `json:"key"`
	Type    string          `json:"type,omitempty"`
	Element json.RawMessage `json:"element,omitempty"`
	Value   json.RawMessage `json:"value,omitempty"`
}

// text returns the description as the server keeps it, nil if it cannot.
func (d *Description) text() *string {
	if d == nil {
		return nil
	}
	b, err := json.Marshal(d)
	if err != nil || !utf8.Valid(b) {
		return nil
	}
	s := string(b)
	return &s
}

// records are the arguments of one statement, a slice for each column.
type records struct {
	spaces, keys, values [][]byte
	crcs                 []int32
	shown                []*string // for cells
	back                 []int64   // for the log: how far the position is behind the head
	bytes                int
}

func (r *records) full() bool { return len(r.keys) >= maxRecords || r.bytes >= maxRecordsBytes }

// add adds a record that is put.
func (r *records) add(e overlay.Entry) {
	r.remove(e)
	r.values = append(r.values, e.Value())
	r.crcs = append(r.crcs, sumOf(e.Key(), e.Value()))
	r.bytes += len(e.Value())
}

// remove adds a record that is removed.
func (r *records) remove(e overlay.Entry) {
	r.spaces = append(r.spaces, e.Key().Space())
	r.keys = append(r.keys, e.Key().User())
	r.bytes += len(e.Key())
}

// A tableBatch is what a group writes to one table.
type tableBatch struct{ put, gone records }

// A builder turns the writes of a group into statements.
type builder struct {
	s      *Store
	batch  *pgx.Batch
	tables map[store.Table]*tableBatch
	heads  map[string]int64 // how far the head of each space's log rises
}

// queueWrites adds the statements for what a group wrote; order has the log's
// keys in the order in which they were written.
func (s *Store) queueWrites(batch *pgx.Batch, tx *overlay.Tx, order map[string]int64) {
	b := &builder{s: s, batch: batch, tables: map[store.Table]*tableBatch{}, heads: map[string]int64{}}
	var log []overlay.Entry
	for e := range tx.Entries() {
		name := string(e.Key().Space())
		switch {
		case e.Deleted():
			b.remove(e)
			continue
		case e.Key().Table() == store.Log:
			b.heads[name]++
			log = append(log, e)
		default:
			if !s.known[name] {
				b.heads[name] += 0
			}
			b.put(e)
		}
	}
	b.raise()
	b.putLog(log, order)
	for _, t := range inOrder {
		b.flush(t)
	}
}

func (b *builder) table(t store.Table) *tableBatch {
	if b.tables[t] == nil {
		b.tables[t] = &tableBatch{}
	}
	return b.tables[t]
}

func (b *builder) put(e overlay.Entry) {
	t := e.Key().Table()
	r := &b.table(t).put
	r.add(e)
	if t == store.Cells {
		r.shown = append(r.shown, b.shown(e))
	}
	if r.full() {
		b.flushPut(t)
	}
}

func (b *builder) shown(e overlay.Entry) *string {
	if b.s.opts.Describe == nil {
		return nil
	}
	return b.s.opts.Describe(string(e.Key().Space()), e.Key().User(), e.Value()).text()
}

func (b *builder) remove(e overlay.Entry) {
	t := e.Key().Table()
	r := &b.table(t).gone
	r.remove(e)
	if r.full() {
		b.flushGone(t)
	}
}

// maxKnown bounds Store.known.
const maxKnown = 10_000

// learn notes the spaces of a group that was committed.
func (s *Store) learn(tx *overlay.Tx) {
	if len(s.known) > maxKnown {
		clear(s.known)
	}
	for e := range tx.Entries() {
		if name := e.Key().Space(); !e.Deleted() && !s.known[string(name)] {
			s.known[string(name)] = true
		}
	}
}

// raise makes sure that the spaces are known and raises the heads of their
// logs.
func (b *builder) raise() {
	if len(b.heads) == 0 {
		return
	}
	names, by := make([][]byte, 0, len(b.heads)), make([]int64, 0, len(b.heads))
	for name, n := range b.heads {
		names, by = append(names, []byte(name)), append(by, n)
	}
	b.batch.Queue(b.s.sql.raise, names, by)
}

// putLog puts the log's records at their positions.
func (b *builder) putLog(log []overlay.Entry, order map[string]int64) {
	slices.SortFunc(log, func(x, y overlay.Entry) int { return int(order[string(x.Key())] - order[string(y.Key())]) })
	for _, e := range log {
		name := string(e.Key().Space())
		b.heads[name]--
		r := &b.table(store.Log).put
		r.add(e)
		r.back = append(r.back, b.heads[name])
		if r.full() {
			b.flushPut(store.Log)
		}
	}
}

// flush queues what is left for a table.
func (b *builder) flush(t store.Table) {
	if b.tables[t] != nil {
		b.flushPut(t)
		b.flushGone(t)
	}
}

func (b *builder) flushPut(t store.Table) {
	r := &b.tables[t].put
	if len(r.keys) == 0 {
		return
	}
	args := []any{r.spaces, r.keys, r.values, r.crcs}
	switch t {
	case store.Cells:
		args = append(args, r.shown)
	case store.Log:
		args = append(args, r.back)
	}
	b.batch.Queue(b.s.sql.tables[t].put, args...)
	*r = records{}
}

func (b *builder) flushGone(t store.Table) {
	r := &b.tables[t].gone
	if len(r.keys) > 0 {
		b.batch.Queue(b.s.sql.tables[t].remove, r.spaces, r.keys)
		*r = records{}
	}
}
