package node

import (
	"iter"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// GSet refers to the grow-only set under key. Like every reference it is a key
// and a type, usable with any space and from any goroutine.
func GSet[T any](key string) object.GSet[T] { return object.NewGSet[T](key) }

// TwoPSet refers to the two-phase set under key: it takes back no element it has
// removed.
func TwoPSet[T any](key string) object.TwoPSet[T] { return object.NewTwoPSet[T](key) }

// ORSet refers to the add-wins set under key: a remove deletes only the adds it
// has seen.
func ORSet[T any](key string) object.ORSet[T] { return object.NewORSet[T](key) }

// RWSet refers to the remove-wins set under key: an element is present if it
// was added and every remove has been seen by some add.
func RWSet[T any](key string) object.RWSet[T] { return object.NewRWSet[T](key) }

// LWW refers to the last-writer-wins register under key.
func LWW[T any](key string) object.LWWRegister[T] { return object.NewLWWRegister[T](key) }

// MVRegister refers to the multi-value register under key.
func MVRegister[T any](key string) object.MVRegister[T] { return object.NewMVRegister[T](key) }

// PNCounter refers to the counter under key.
func PNCounter(key string) object.PNCounter { return object.NewPNCounter(key) }

// USet refers to the set of unique elements under key: each is added once.
func USet[T any](key string) object.USet[T] { return object.NewUSet[T](key) }

// LWWSet refers to the set under key in which the latest write of an element
// decides, and an add wins over a remove of the same time.
func LWWSet[T any](key string) object.LWWSet[T] { return object.NewLWWSet[T](key) }

// RemoveBiasedLWWSet refers to the set under key in which the latest write of an
// element decides, and a remove wins over an add of the same time.
func RemoveBiasedLWWSet[T any](key string) object.RemoveBiasedLWWSet[T] {
	return object.NewRemoveBiasedLWWSet[T](key)
}

// PNSet refers to the counting set under key: an element is present while it was
// added more often than removed.
func PNSet[T any](key string) object.PNSet[T] { return object.NewPNSet[T](key) }

// LWWMap refers to the map under key in which the latest write of each field
// wins.
func LWWMap[K, V any](key string) object.LWWMap[K, V] { return object.NewLWWMap[K, V](key) }

// ORMap refers to the map under key, whose fields hold objects of any kind:
// [object.At] refers to them.
func ORMap[K any](key string) object.ORMap[K] { return object.NewORMap[K](key) }

// GCounter refers to the grow-only counter under key.
func GCounter(key string) object.GCounter { return object.NewGCounter(key) }

// BoundedCounter refers to the counter under key that never falls below 0.
func BoundedCounter(key string) object.BoundedCounter { return object.NewBoundedCounter(key) }

// EWFlag refers to the enable-wins flag under key.
func EWFlag(key string) object.EWFlag { return object.NewEWFlag(key) }

// DWFlag refers to the disable-wins flag under key.
func DWFlag(key string) object.DWFlag { return object.NewDWFlag(key) }

// Reader returns the object of that key and kind, for typed references.
func (v *View) Reader(key, kind string) object.Reader {
	return viewObject{v, Object{Key: key, Kind: kind}}
}

// viewObject is one object of a snapshot.
type viewObject struct {
	view *View
	name Object
}

func (o viewObject) Cell(element string) ([]byte, error) { return o.view.Cell(cellOf(o.name, element)) }

func (o viewObject) Cells(prefix string) iter.Seq2[Cell, error] {
	return o.view.cells(o.name, prefix)
}

// Reader returns the object of that key and kind, for typed references.
func (tx *Tx) Reader(key, kind string) object.Reader {
	return txObject{tx, Object{Key: key, Kind: kind}}
}

// Writer returns the object of that key and kind, for typed references.
func (tx *Tx) Writer(key, kind string) object.Writer {
	return txObject{tx, Object{Key: key, Kind: kind}}
}

// txObject is one object of a transaction.
type txObject struct {
	*Tx
	name Object
}

func (o txObject) Cell(element string) ([]byte, error) { return o.Tx.Cell(cellOf(o.name, element)) }

func (o txObject) Cells(prefix string) iter.Seq2[Cell, error] { return o.Tx.cellsOf(o.name, prefix) }

func (o txObject) Before(element string) ([]byte, error) { return o.Tx.Before(cellOf(o.name, element)) }

func (o txObject) Write(element string, op crdt.Op) error {
	return o.Tx.Write(cellOf(o.name, element), op)
}

func (o txObject) Fail(err error) error { return o.fail(err) }

func cellOf(o Object, element string) crdtsync.CellKey {
	return crdtsync.CellKey{Object: o.Key, Kind: o.Kind, Element: element}
}
