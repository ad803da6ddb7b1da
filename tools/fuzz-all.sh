#!/usr/bin/env bash
# Runs every fuzz target of the root module, one after the other, each for a few
# seconds. Usage: tools/fuzz-all.sh [FUZZTIME], default 5s. A target that fails
# leaves its input in testdata/fuzz of its package; the others still run.
set -euo pipefail
cd "$(dirname "$0")/.."
fuzztime=${1:-5s}
passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Up to Go 1.26, go test may fail a target with a bare "context deadline exceeded"
# when -fuzztime ends while a worker is busy (golang/go#75804). It has found nothing
# then: a finding names the file of its input, a crash or a hang says so.
only_the_deadline() {
	grep -q '^    context deadline exceeded$' "$log" &&
		! grep -qE 'Failing input|panic:|fatal error:|hung or terminated|build failed|_test\.go:[0-9]' "$log"
}

fuzz() { # package target
	echo "fuzz $1 $2"
	if go test -run '^$' -fuzz "^$2\$" -fuzztime "$fuzztime" "$1" >"$log" 2>&1 </dev/null || only_the_deadline; then
		grep '^fuzz:' "$log" | tail -n 1 || true
		passed=$((passed + 1))
	else
		cat "$log"
		failed=$((failed + 1))
	fi
}

# "go test -list" prints the names of a package's targets, then "ok <package> <time>".
listing=$(go test -list '^Fuzz' ./...)
targets=()
while read -r first second _; do
	case $first in
	Fuzz*) targets+=("$first") ;;
	ok)
		for target in "${targets[@]}"; do
			fuzz "$second" "$target"
		done
		targets=()
		;;
	esac
done <<<"$listing"

echo "fuzz: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
