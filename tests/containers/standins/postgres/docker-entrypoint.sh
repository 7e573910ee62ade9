#!/bin/bash
# The promises of the official image's entry point: as root it gives the data to the user postgres and
# becomes that user; an empty volume gets a cluster with POSTGRES_USER, POSTGRES_PASSWORD(_FILE),
# POSTGRES_DB, POSTGRES_INITDB_ARGS and the scripts of /docker-entrypoint-initdb.d.
set -euo pipefail

[ "${1:-}" = postgres ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
    exec setpriv --reuid=postgres --regid=postgres --clear-groups -- "$0" "$@"
fi

sockets=(-c unix_socket_directories=/var/run/postgresql)

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    user=${POSTGRES_USER:-postgres}
    password=${POSTGRES_PASSWORD:-$(cat "${POSTGRES_PASSWORD_FILE:?POSTGRES_PASSWORD is missing}")}
    # shellcheck disable=SC2086  # words, as in the official image
    initdb --pgdata="$PGDATA" --username="$user" --pwfile=<(echo "$password") ${POSTGRES_INITDB_ARGS:-}
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
    pg_ctl --pgdata="$PGDATA" --wait start \
        --options="-c listen_addresses='' ${sockets[*]}"
    database=${POSTGRES_DB:-$user}
    [ "$database" = postgres ] || psql -v ON_ERROR_STOP=1 --no-psqlrc --username="$user" --dbname=postgres \
        --set=name="$database" <<< 'CREATE DATABASE :"name";'
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
            *.sh) . "$script" ;;
            *.sql) psql -v ON_ERROR_STOP=1 --username="$user" --dbname="$database" --file="$script" ;;
        esac
    done
    pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
fi

exec "$@" "${sockets[@]}"
