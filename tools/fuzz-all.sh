#!/usr/bin/env bash
# Runs every fuzz target of the root module, one after the other, each for a few
# seconds. Usage: tools/fuzz-all.sh [FUZZTIME], default 5s. A target that fails
# leaves its input in testdata/fuzz of its package; the others still run.
set -euo pipefail
cd "$(dirname "$0")/.."
fuzztime=${1:-5s}
passed=0
failed=0

# "go test -list" prints the names of a package's targets, then "ok <package> <time>".
listing=$(go test -list '^Fuzz' ./...)
targets=()
while read -r first second _; do
	case $first in
	Fuzz*) targets+=("$first") ;;
	ok)
		for target in "${targets[@]}"; do
			echo "fuzz $second $target"
			if go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" "$second"; then
				passed=$((passed + 1))
			else
				failed=$((failed + 1))
			fi
		done
		targets=()
		;;
	esac
done <<<"$listing"

echo "fuzz: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
