#!/usr/bin/env bash
# Vets and tests every nested module. A module without Go files, which only pins
# versions, is verified instead.
set -euo pipefail
cd "$(dirname "$0")/.."

git ls-files --cached --others --exclude-standard -- '*/go.mod' | while read -r gomod; do
	module=${gomod%/go.mod}
	echo "nested module $module"
	if [ -n "$(go -C "$module" list ./... 2>/dev/null)" ]; then
		go -C "$module" vet ./...
		go -C "$module" test -race -timeout 10m ./... </dev/null
	else
		go -C "$module" mod verify
	fi
done
