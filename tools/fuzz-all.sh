#!/usr/bin/env bash
# Runs every fuzz target of the root module, each for a few seconds, as many at a
# time as there are processors. Usage: tools/fuzz-all.sh [FUZZTIME], default 5s. A
# target that fails leaves its input in testdata/fuzz of its package; the others
# still run.
set -euo pipefail
cd "$(dirname "$0")/.."
fuzztime=${1:-5s}
module=$(go list -m)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
corpora=$(go env GOCACHE)/fuzz

# only_the_deadline log: the fuzzer gave up in the middle of a run, and nothing failed.
only_the_deadline() {
	grep -q '^    context deadline exceeded$' "$1" &&
		! grep -qE 'Failing input|panic:|fatal error:|hung or terminated|_test\.go:[0-9]' "$1"
}

fuzz() { # directory target
	local log=$work/$2-$RANDOM.log corpus=$corpora/$module/$1
	mkdir -p "$corpus"
	if (cd "$1" && "$work/${1//\//-}.test" -test.run '^$' -test.fuzz "^$2\$" -test.fuzztime "$fuzztime" \
		-test.fuzzcachedir "$corpus" -test.parallel 1 </dev/null) >"$log" 2>&1 || only_the_deadline "$log"; then
		echo "fuzz $1 $2: $(grep '^fuzz:' "$log" | tail -n 1)"
	else
		echo "fuzz $1 $2: FAILED"
		cat "$log"
		return 1
	fi
}

targets=$(git ls-files --cached --others --exclude-standard -- '*_test.go' | while read -r file; do
	sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\)(.*|$(dirname "$file") \1|p" "$file"
done)
[ -n "$targets" ]
cut -d' ' -f1 <<<"$targets" | sort -u | while read -r dir; do
	go test -c -fuzz=. -o "$work/${dir//\//-}.test" "./$dir"
done

# One worker to a target, and as many targets at a time as there are processors.
failed=0
running=0
while read -r dir target; do
	if [ "$running" -ge "$(nproc)" ]; then
		wait -n || failed=$((failed + 1))
		running=$((running - 1))
	fi
	fuzz "$dir" "$target" &
	running=$((running + 1))
done <<<"$targets"
while [ "$running" -gt 0 ]; do
	wait -n || failed=$((failed + 1))
	running=$((running - 1))
done

echo "fuzz: $(wc -l <<<"$targets") targets, $failed failed"
[ "$failed" -eq 0 ]
