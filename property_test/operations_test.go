package property_test

import (
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/crdttest"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/crdt/op"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// An operationHost is a replica in operation form. Its messages travel as bytes.
type operationHost struct{ *op.Replica }

// byOperations returns the hosts of objects of a kind in operation form.
func byOperations(k crdt.Kind) func(merge.Origin) crdttest.Host {
	kinds := crdt.Builtin()
	kinds[k.Name()] = k
	return func(o merge.Origin) crdttest.Host {
		return operationHost{op.NewReplica(op.Config{Self: o, Kinds: kinds})}
	}
}

// Do prepares a change, and returns the bytes of its message.
func (h operationHost) Do(at hlc.Timestamp, change func(object.Tx) error) (any, error) {
	m, err := h.Replica.Do(at, change)
	if err != nil || m == nil {
		return nil, err
	}
	return m.MarshalBinary()
}

// Receive takes the bytes of a message.
func (h operationHost) Receive(message any) error {
	var m op.Message
	if err := m.UnmarshalBinary(message.([]byte)); err != nil {
		return err
	}
	_, err := h.Replica.Receive(&m)
	return err
}
