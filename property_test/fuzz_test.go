package property_test

import (
	"testing"

	"github.com/joinery-crdt/joinery/crdt/crdttest"
)

// Every type against its specification, as a value beside cells and beside its
// operation form, in histories that the fuzzer writes.
func FuzzTypes(f *testing.F) {
	for i := range types() {
		f.Add(byte(i), []byte("\x00\x00\x00\x00\x10\x00\x00\x01\x02\x01\x00\x00\x12\x00\x00\x00\x00\x10\x00\x02\x21\x00\x00\x00\x20\x20\x00\x03"))
	}
	f.Fuzz(func(t *testing.T, pick byte, program []byte) {
		typ := types()[int(pick)%len(types())]
		p := crdttest.ProgramOf(program[:min(len(program), 4*length)])
		if err := typ.together(p); err != nil {
			t.Errorf("%s: %v", typ.name, err)
		}
		if err := typ.operations(p); err != nil {
			t.Errorf("%s in operation form: %v", typ.name, err)
		}
	})
}
