#!/usr/bin/env bash
# Makes sure that the tests of store/pgstore find a PostgreSQL server to start:
# nothing to do where there is one, Debian's package where there is none. The
# package's own service is not started; the tests run servers of their own.
set -euo pipefail

find_initdb() {
	command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' || compgen -G '/usr/pgsql-*/bin/initdb' ||
		compgen -G '/opt/homebrew/opt/postgresql*/bin/initdb'
}

if find_initdb >/dev/null; then
	exit 0
fi
if ! command -v apt-get >/dev/null; then
	echo "install PostgreSQL 15 or newer, so that initdb is in PATH" >&2
	exit 1
fi
run=()
if [ "$(id -u)" -ne 0 ]; then
	run=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${run[@]}" apt-get update -q
# Without this the package would set up a cluster and start it.
"${run[@]}" apt-get install -q -y --no-install-recommends postgresql-common
printf 'create_main_cluster = false\nstart_conf = manual\n' | "${run[@]}" tee -a /etc/postgresql-common/createcluster.conf >/dev/null
"${run[@]}" apt-get install -q -y --no-install-recommends postgresql
find_initdb >/dev/null
