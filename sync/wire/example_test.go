package wire_test

import (
	"bytes"
	"fmt"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

func ExampleDecode() {
	b, err := wire.Append(nil, &crdtsync.Ping{N: 24})
	fmt.Printf("%x %v\n", b, err)
	f, err := wire.Decode(b)
	fmt.Printf("%+v %v\n", f, err)
	_, err = wire.Decode(append(b, 0))
	fmt.Println(err != nil)
	// Output:
	// 0400a1011818 <nil>
	// &{N:24} <nil>
	// true
}

func ExampleFileWriter() {
	var file bytes.Buffer
	w, err := wire.NewFileWriter(&file, wire.FileHeader{Space: "notes", Origin: merge.Origin{1}, Changes: 1})
	if err != nil {
		panic(err)
	}
	if err := w.Write(&crdtsync.Changes{Space: "notes", Changes: [][]byte{[]byte("a change")}}); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}

	_, err = wire.NewFileReader(bytes.NewReader(file.Bytes()[:10]))
	fmt.Println(err)
	r, err := wire.NewFileReader(&file)
	if err != nil {
		panic(err)
	}
	for f, err := range r.Frames() {
		fmt.Printf("%s: %T %v\n", r.Header().Space, f, err)
	}
	// Output:
	// wire: drop file, at byte 0: the file ends early: copy the file again, or export it again
	// notes: *sync.Changes <nil>
}
