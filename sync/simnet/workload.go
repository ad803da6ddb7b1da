package simnet

import (
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A transaction builds the cell ops of one change, as a node does: causal kinds
// supersede what the writer sees, the others join a new state.
type transaction struct {
	node   *node
	reader store.Reader
	stage  *crdtsync.Stage
	space  string
	cells  []crdtsync.CellOp
	done   []Op // what the transaction really does
}

// run builds op unless it does nothing here, or touches a cell that an earlier
// op of the transaction has touched.
func (t *transaction) run(op Op) error {
	var cells []crdtsync.CellOp
	var err error
	switch op.Kind {
	case gset, twopset:
		cells, err = t.phase(op)
	case orset, rwset, mvregister:
		cells, err = t.causal(op)
	case lww:
		cells, err = t.latest(op)
	case pncounter:
		cells, err = t.counter(op)
	}
	if err != nil || len(cells) == 0 || t.touches(op) {
		return err
	}
	t.cells = append(t.cells, cells...)
	t.done = append(t.done, op)
	return nil
}

// touches reports whether the transaction has an op on the same thing.
func (t *transaction) touches(op Op) bool {
	return slices.ContainsFunc(t.done, func(o Op) bool {
		return o.Object == op.Object && o.Kind == op.Kind && o.Element == op.Element
	})
}

func one(key crdtsync.CellKey, op crdt.Op) []crdtsync.CellOp {
	return []crdtsync.CellOp{{Cell: key, Op: op}}
}

// cell returns the key of the cell an op is about, and its state.
func (t *transaction) cell(op Op) (key crdtsync.CellKey, state []byte, err error) {
	key = crdtsync.CellKey{Object: op.Object, Kind: op.Kind}
	if op.Element != "" {
		b, err := crdt.EncodeElement(op.Element)
		if err != nil {
			return key, nil, err
		}
		key.Element = string(b)
	}
	state, err = t.stage.Cell(key)
	return key, state, err
}

func (t *transaction) phase(op Op) ([]crdtsync.CellOp, error) {
	key, state, err := t.cell(op)
	if err != nil {
		return nil, err
	}
	if op.Kind == gset {
		return one(key, crdt.Op{Put: true}), nil
	}
	now, err := crdt.DecodePhase(state)
	if err != nil {
		return nil, err
	}
	next := crdt.PhaseAdded
	if op.Do == Remove {
		next = crdt.PhaseRemoved
	}
	if now == crdt.PhaseRemoved || op.Do == Remove && now != crdt.PhaseAdded {
		return nil, nil
	}
	payload, err := next.AppendBinary(nil)
	return one(key, crdt.Op{Put: true, Payload: payload}), err
}

func (t *transaction) causal(op Op) ([]crdtsync.CellOp, error) {
	key, state, err := t.cell(op)
	if err != nil {
		return nil, err
	}
	if state == nil && op.Kind != rwset && (op.Do == Remove || op.Do == Clear) {
		return nil, nil
	}
	put, payload := op.Do == Add || op.Do == Set || op.Kind == rwset, []byte(nil)
	switch {
	case op.Do == Set:
		payload, err = t.node.world.payload(op)
	case op.Kind == rwset && op.Do == Add:
		payload = crdt.Added
	case op.Kind == rwset:
		payload = crdt.Removed
	}
	if err != nil {
		return nil, err
	}
	if op.Do == Remove && t.node.world.bugs.seeNothing {
		state = nil
	}
	made, err := crdt.Supersede(state, put, payload)
	return one(key, made), err
}

func (t *transaction) latest(op Op) ([]crdtsync.CellOp, error) {
	key, state, err := t.cell(op)
	if err != nil {
		return nil, err
	}
	was, err := crdt.DecodeLatest(state)
	if err != nil {
		return nil, err
	}
	payload, err := t.node.world.payload(op)
	made := crdt.Op{Put: true, Payload: payload}
	if was.Dot.Seq != 0 {
		made.Seen = merge.DotSetOf(was.Dot)
	}
	return one(key, made), err
}

func (t *transaction) counter(op Op) ([]crdtsync.CellOp, error) {
	if op.Do == Zero {
		return t.reset(op)
	}
	key := crdtsync.CellKey{Object: op.Object, Kind: op.Kind, Element: string(t.node.origin[:])}
	state, err := t.stage.Cell(key)
	if err != nil {
		return nil, err
	}
	share, err := t.node.share(state)
	if err != nil {
		return nil, err
	}
	if share, err = share.Add(op.N); err != nil {
		return nil, err
	}
	payload, err := share.AppendBinary(nil)
	return one(key, crdt.Op{Put: true, Payload: payload}), err
}

// share decodes the node's own share of a counter.
func (n *node) share(state []byte) (crdt.Share, error) {
	if n.world.bugs.increments {
		return crdt.Share{}, nil
	}
	if n.world.bugs.forgetShare && n.restarts > 1 {
		return crdt.Share{}, nil
	}
	return crdt.DecodeShare(state)
}

// reset takes every share that is seen into its baseline.
func (t *transaction) reset(op Op) (cells []crdtsync.CellOp, err error) {
	keys, err := t.shares(op.Object)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		state, err := t.stage.Cell(key)
		if err != nil {
			return nil, err
		}
		share, err := crdt.DecodeShare(state)
		if err != nil {
			return nil, err
		}
		if zero := share.Reset(); zero != share {
			payload, _ := zero.AppendBinary(nil)
			cells = append(cells, one(key, crdt.Op{Put: true, Payload: payload})...)
		}
	}
	return cells, nil
}

// shares returns the cells of a counter, ascending, those included that the
// stage has made.
func (t *transaction) shares(object string) (cells []crdtsync.CellKey, err error) {
	prefix := crdtsync.KindPrefix(object, pncounter)
	keys := t.stage.TouchedKeys(prefix)
	for rec, err := range t.reader.Scan(t.space, store.Cells, store.Range{Prefix: prefix}) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, string(rec.Key))
	}
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		key, err := crdtsync.ParseCellKey([]byte(k))
		if err != nil {
			return nil, err
		}
		cells = append(cells, key)
	}
	return cells, nil
}

// payload encodes the value an op sets, large ones padded.
func (w *world) payload(op Op) ([]byte, error) {
	text := op.value()
	if w.knobs.Large {
		text += strings.Repeat(".", 8<<10)
	}
	return crdt.EncodeValue(text)
}
