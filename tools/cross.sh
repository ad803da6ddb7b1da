#!/usr/bin/env bash
# Builds the root module without cgo for a platform of each system and one of 32
# bits, checks the types of the others that it is promised for, which have the same
# files but for what is in the libraries, and builds the packages that are promised
# for the browser for GOOS=js GOARCH=wasm. Nothing is kept.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0

for platform in linux/arm darwin/arm64 windows/amd64; do
	echo "build $platform"
	# Nobody runs what comes out: without optimising it takes a third less.
	GOOS=${platform%/*} GOARCH=${platform#*/} go build -gcflags='all=-N -l' ./...
done
go -C tools run ./typecheck -dir .. linux/amd64 linux/arm64 darwin/amd64 windows/arm64

browser=()
for package in ./merge/... ./hlc/... ./crdt/... ./calm/... ./sync; do
	# A folder that does not exist yet, or holds no Go file yet, is passed over.
	if compgen -G "${package%/...}/*.go" >/dev/null; then
		browser+=("$package")
	fi
done
echo "build js/wasm ${browser[*]}"
GOOS=js GOARCH=wasm go build "${browser[@]}"
