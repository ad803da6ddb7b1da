module github.com/joinery-crdt/joinery/bench

go 1.26

require (
	github.com/joinery-crdt/joinery v0.0.0
	go.etcd.io/bbolt v1.4.3
)

require (
	github.com/fxamacker/cbor/v2 v2.9.6 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/tidwall/btree v1.8.1 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	golang.org/x/sys v0.29.0 // indirect
)

replace github.com/joinery-crdt/joinery => ../
