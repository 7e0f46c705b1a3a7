#!/bin/sh
# Checks every query of the store against a real Postgres and rebuilds .sqlx, from which builds without a database are
# checked. Run it after a change of a query or a migration, and commit .sqlx with it.
#
# It starts a private Postgres in a temporary directory and removes it again. PG_BIN says where its programs are.
set -eu

cd "$(dirname "$0")/.."
root=$(pwd)
bin=${PG_BIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)}
if [ ! -x "$bin/initdb" ]; then
    echo "prepare-sql: PostgreSQL's initdb is not in '$bin'; install PostgreSQL or set PG_BIN" >&2
    exit 1
fi

dir=$(mktemp -d)
mkdir "$dir/sqlx"
as_server() { "$@"; }
if [ "$(id -u)" -eq 0 ]; then
    # Postgres refuses to run as root.
    as_server() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
    chown postgres "$dir"
fi

clean_up() {
    (cd / && as_server "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1) || true
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# Reached through a socket in the private directory, so no port can be taken by another.
start_server() (
    cd /
    as_server "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C >"$dir/log" 2>&1
    as_server "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/data/log" \
        -o "-c listen_addresses= -c unix_socket_directories=$dir" start >>"$dir/log" 2>&1
)
start_server || { cat "$dir/log" >&2; exit 1; }
# In the order of store/src/migrations.rs.
for migration in migrations/000*.sql migrations/001[0-4]_*.sql migrations/0061_*.sql migrations/001[5-9]_*.sql migrations/00[2-9]*.sql; do
    as_server "$bin/psql" -h "$dir" -U postgres -v ON_ERROR_STOP=1 -q <"$migration"
done

# The macros run only when the crate is built anew; the files are put in place only when all of them are there.
touch store/src/lib.rs
DATABASE_URL="postgres://postgres@localhost/postgres?host=$dir" SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$dir/sqlx" \
    cargo check --quiet -p roost-store
mkdir -p .sqlx
rm -f .sqlx/query-*.json
cp "$dir"/sqlx/query-*.json .sqlx/
touch store/src/lib.rs
echo "prepare-sql: $(ls "$root/.sqlx" | wc -l) queries checked with $("$bin/postgres" --version)"
