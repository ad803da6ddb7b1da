// Package joinery_test holds the architecture of docs/ARCHITECTURE.md as a
// policy that is checked. It parses the sources in this process: a test that
// asks the go command would be served stale from the test cache.
package joinery_test

import (
	"os"
	"testing"
)

const module = "github.com/joinery-crdt/joinery"

// Modules that a policy names.
const (
	uuidModule      = "github.com/google/uuid"
	cborModule      = "github.com/fxamacker/cbor/v2"
	bboltModule     = "go.etcd.io/bbolt"
	sysModule       = "golang.org/x/sys"
	btreeModule     = "github.com/tidwall/btree"
	pgxModule       = "github.com/jackc/pgx/v5"
	websocketModule = "github.com/coder/websocket"
	compressModule  = "github.com/klauspost/compress"
)

// architecture is the table of arrows. A package that is not in it may not
// exist; an arrow that is not in it may not be drawn. Test files are free of the
// arrows, not of the rest.
var architecture = policy{
	module: module,
	packages: map[string]rule{
		"merge":           {imports: list("internal/varint"), modules: list(uuidModule, cborModule), pure: true},
		"merge/mergetest": {imports: list("merge"), pure: true},
		"hlc":             {},
		"crdt":            {imports: list("merge", "hlc", "internal/varint", "crdt/internal/columns"), modules: list(uuidModule, cborModule), pure: true},
		"crdt/object":     {imports: list("crdt", "merge", "hlc"), pure: true},
		"crdt/op":         {imports: list("crdt", "crdt/object", "merge", "hlc", "internal/varint"), modules: list(uuidModule, cborModule), pure: true},
		"crdt/crdttest":   {imports: list("crdt", "crdt/object", "crdt/op", "merge", "merge/mergetest", "hlc"), modules: list(uuidModule)},

		"crdt/internal/columns": {imports: list("merge", "internal/varint"), pure: true},

		"calm":           {imports: list("merge"), modules: list(uuidModule, cborModule), pure: true},
		"calm/flow":      {imports: list("calm", "merge"), modules: list(uuidModule, cborModule), pure: true},
		"calm/invariant": {imports: list("calm", "merge"), modules: list(uuidModule, cborModule), pure: true},
		"calm/calmtest":  {imports: list("calm", "merge")},
		"calm/calmvet":   {imports: list("calm"), modules: list("...")},

		"store":                  {},
		"store/internal/overlay": {imports: list("store"), modules: list(btreeModule)},
		"store/memstore":         {imports: list("store", "store/internal/overlay")},
		"store/internal/turn":    {imports: list("store")},
		"store/boltstore":        {imports: list("store", "store/internal/overlay", "store/internal/turn"), modules: list(bboltModule, sysModule)},
		"store/pgstore":          {imports: list("store", "store/internal/overlay", "store/internal/turn"), modules: list(pgxModule, uuidModule)},
		"internal/pgtest":        {},
		"store/faultstore":       {imports: list("store")},
		"store/storetest":        {imports: list("store")},

		"sync":       {imports: list("merge", "hlc", "crdt", "internal/varint", "sync/recon"), modules: list(uuidModule, cborModule), pure: true},
		"sync/wire":  {imports: list("sync", "merge", "internal/varint"), modules: list(cborModule, compressModule), pure: true},
		"sync/recon": {imports: list("internal/varint"), pure: true},
		"sync/ws":    {imports: list("sync/wire"), modules: list(websocketModule, compressModule)},
		"sync/node": {
			imports: list("sync", "sync/wire", "sync/node/internal/pace", "store", "internal/spacestore", "hlc", "crdt", "crdt/object", "merge"),
			modules: list(uuidModule, cborModule),
		},
		"sync/node/internal/pace": {pure: true},
		"sync/simnet": {
			imports: list("sync", "sync/wire", "store", "store/memstore", "store/faultstore", "internal/spacestore",
				"hlc", "crdt", "crdt/crdttest", "merge"),
			modules: list(uuidModule),
		},

		"internal/varint": {pure: true},
		"internal/spacestore": {
			imports: list("sync", "store", "merge", "hlc", "crdt", "internal/varint"),
			modules: list(uuidModule, cborModule),
		},

		"cmd/joinery-sim": {imports: list("sync/simnet"), modules: list("...")},
		// Package sync is there for the types that a node's API is made of.
		"cmd/syncd": {
			imports: list("sync", "sync/node", "sync/ws", "sync/wire", "store/...", "crdt", "crdt/object", "crdt/op", "merge", "hlc", "cmd/syncd/internal/..."),
			modules: list("..."),
		},
		"cmd/syncd/internal/...": {
			imports: list("sync", "sync/node", "sync/ws", "sync/wire", "store/...", "crdt", "crdt/object", "crdt/op", "merge", "hlc", "cmd/syncd/internal/...", "internal/pgtest"),
			modules: list("..."),
		},

		"examples/...": {
			imports: list("merge", "hlc", "crdt", "crdt/object", "crdt/op", "calm", "store/...", "sync", "sync/wire", "sync/node", "sync/ws"),
			modules: list("..."),
		},
		"property_test": {},
		"bench/...":     {imports: list("..."), modules: list("...")},
		"tools/...":     {imports: list("..."), modules: list("...")},
	},
	importedByNothing: list("property_test"),
	importNames:       map[string]string{"sync": "crdtsync"},
	fileLines:         499,
	functionLines:     80,
}

func list(items ...string) []string { return items }

func TestArchitecture(t *testing.T) {
	found, err := architecture.check(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}
