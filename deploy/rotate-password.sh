#!/bin/sh
# Makes a new password: `sh deploy/rotate-password.sh service`, `owner`, `backup` or `valkey`. PostgreSQL is told
# it here; the processes that use it read it when they are restarted (docs/operating.md).
#
# Until PostgreSQL has it, it is in secrets/NAME.new; the file itself is written in place, because a
# container has that file and no other.
set -eu
cd "$(dirname "$0")/.."
umask 077

case ${1:-} in
    service) secret=service_password role=tocsin_service ;;
    owner) secret=database_password role=tocsin ;;
    backup) secret=backup_password role=tocsin_backup ;;
    valkey) secret=valkey_password role= ;;
    *)
        echo "say whose password: service, owner, backup or valkey" >&2
        exit 2
        ;;
esac

file=deploy/secrets/$secret
od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n' > "$file.new"
if [ -n "$role" ]; then
    # psql asks for it twice and sends its hash, so that no log of the server can show it.
    { cat "$file.new"; echo; cat "$file.new"; echo; } |
        docker compose exec -T postgres psql -q -U tocsin -d tocsin -c "\\password $role" > /dev/null
fi
chmod 644 "$file"
cat "$file.new" > "$file"
chmod 444 "$file"
rm "$file.new"
echo "new: $file; now restart what uses it"
