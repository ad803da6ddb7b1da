# What a developer and CI run. It needs Go, git, make and a C toolchain (for the
# race detector). The tests of store/pgstore start a PostgreSQL of their own, which
# tools/postgres.sh installs on Debian.

.DEFAULT_GOAL := build
.PHONY: build test lint unit postgres fuzz cross nested sim replay mutants bench demo fmt

FUZZTIME ?= 5s
TOOL      = go tool -modfile=tools/go.mod

build: ## compile everything
	go build ./...

# The suite comes last, so that the run ends with go test's own lines.
test: lint cross nested fuzz sim replay mutants unit ## everything that CI checks

unit: postgres ## the root module's tests under the race detector
	go test ./crdt/internal/columns # whole; under the race detector, which has nothing to find there, a part
	go test -race -timeout 20m ./...

postgres: ## a PostgreSQL for the tests of store/pgstore to start, if there is none
	tools/postgres.sh

lint: ## vet, gofumpt, staticcheck
	go vet ./...
	@unformatted=$$($(TOOL) gofumpt -l .) && if [ -n "$$unformatted" ]; then \
		echo "not gofumpt-clean, run make fmt:"; echo "$$unformatted"; exit 1; fi
	$(TOOL) staticcheck ./...

fmt: ## rewrite sources with gofumpt
	$(TOOL) gofumpt -w .

fuzz: postgres ## every fuzz target for FUZZTIME
	tools/fuzz-all.sh $(FUZZTIME)

cross: ## build for every promised platform
	tools/cross.sh

nested: ## vet and test the nested modules
	tools/nested.sh

SIM ?= go run ./cmd/joinery-sim -seeds 2000 -steps 500
sim: ## a bounded run of the simulator; it prints its seeds
	$(SIM)

# The input lies beside the checkout.
HISTORIES ?= ../shared/data/histories
HISTORY   ?= automerge-repo
KILLS     ?= 24
replay: ## recorded history in operation form, as deltas, through real nodes, then over three daemons with kills; a small one over five, and every rung of the ladder
	go run ./cmd/syncd replay $(HISTORIES)/$(HISTORY).ndjson.gz --form op \
		--expect $(HISTORIES)/$(HISTORY).expected.json >/dev/null
	go run ./cmd/syncd replay $(HISTORIES)/$(HISTORY).ndjson.gz --form delta \
		--expect $(HISTORIES)/$(HISTORY).expected.json >/dev/null
	go run ./cmd/syncd replay $(HISTORIES)/$(HISTORY).ndjson.gz \
		--expect $(HISTORIES)/$(HISTORY).expected.json --daemons 3 --kills $(KILLS)
	go run ./cmd/syncd replay $(HISTORIES)/automerge-repo.ndjson.gz \
		--expect $(HISTORIES)/automerge-repo.expected.json --daemons 5 --kills 5 --rungs all >/dev/null

mutants: ## plant bugs, one at a time, and demand that each is found
	go -C tools run ./mutants

bench: postgres ## benchmarks; compare two runs with: go tool -modfile=tools/go.mod benchstat old new
	go test -run '^$$' -bench . -benchmem -count 6 ./...

demo: ## two devices in conflict, and how it ends
	go run ./cmd/syncd demo
