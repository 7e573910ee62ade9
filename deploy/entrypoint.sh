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

# A secret as it stands in a URL.
quoted() {
    python -c 'import sys, urllib.parse
print(urllib.parse.quote(open(sys.argv[1]).read().strip(), safe=""))' "$secrets/$1"
}

# The URL of the database for a user whose password is a secret of this name; at a host.
url_of() {
    echo "postgresql://$1:$(quoted "$2")@${3:-${TOCSIN_DATABASE_HOST:-postgres}}/tocsin"
}

# The service works as a role that owns no table; the owner's password is in `migrate` alone.
if [ -z "${TOCSIN_DATABASE_URL:-}" ] && [ -f "$secrets/service_password" ]; then
    TOCSIN_DATABASE_URL=$(url_of tocsin_service service_password)
    export TOCSIN_DATABASE_URL
    if [ -z "${TOCSIN_DATABASE_OWNER_URL:-}" ] && [ -f "$secrets/database_password" ]; then
        TOCSIN_DATABASE_OWNER_URL=$(url_of tocsin database_password)
        export TOCSIN_DATABASE_OWNER_URL
    fi
fi

# A standby for what may be a few seconds old has the same roles.
if [ -z "${TOCSIN_READ_URL:-}" ] && [ -n "${TOCSIN_READ_HOST:-}" ] \
    && [ -f "$secrets/service_password" ]; then
    TOCSIN_READ_URL=$(url_of tocsin_service service_password "$TOCSIN_READ_HOST")
    export TOCSIN_READ_URL
fi

# Who copies the database has a role of its own; `migrate` makes it.
if [ -z "${TOCSIN_BACKUP_DATABASE_URL:-}" ] && [ -f "$secrets/backup_password" ]; then
    TOCSIN_BACKUP_DATABASE_URL=$(url_of tocsin_backup backup_password)
    export TOCSIN_BACKUP_DATABASE_URL
fi

if [ -z "${TOCSIN_REDIS_URL:-}" ] && [ -f "$secrets/valkey_password" ]; then
    TOCSIN_REDIS_URL="redis://:$(quoted valkey_password)@${TOCSIN_REDIS_HOST:-valkey:6379}/0"
    export TOCSIN_REDIS_URL
fi

# The proxy of docker-compose.yml is believed about who asks, unless others are named.
if [ -z "${TOCSIN_TRUSTED_PROXIES:-}" ] && [ -n "${TOCSIN_PROXY_ADDRESS:-}" ]; then
    export TOCSIN_TRUSTED_PROXIES="$TOCSIN_PROXY_ADDRESS"
fi

exec "$@"
