#!/bin/sh
# Turns the container's secrets into what the program reads, then becomes the program.
#
# A secret arrives as a read-only file of somebody else's; the program wants a master key that only
# its own user can read, and a database URL. Settings that are given win over secrets.
set -eu
umask 077

secrets=${TOCSIN_SECRETS:-/run/secrets}
private=${TOCSIN_PRIVATE:-/run/tocsin}

if [ -z "${TOCSIN_KEY_FILE:-}" ] && [ -f "$secrets/master_key" ]; then
    cat "$secrets/master_key" > "$private/master.key"
    export TOCSIN_KEY_FILE="$private/master.key"
fi

if [ -z "${TOCSIN_DATABASE_URL:-}" ] && [ -f "$secrets/database_password" ]; then
    password=$(python -c 'import sys, urllib.parse
print(urllib.parse.quote(open(sys.argv[1]).read().strip(), safe=""))' "$secrets/database_password")
    export TOCSIN_DATABASE_URL="postgresql://tocsin:$password@${TOCSIN_DATABASE_HOST:-postgres}/tocsin"
fi

exec "$@"
