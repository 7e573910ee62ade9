#!/bin/sh
# Makes deploy/secrets: the master key, the database's passwords, of the owner of its tables, of the
# service's role and of the one that makes backups, and Valkey's, unless they are there.
#
# The folder is closed to others; the files in it are readable, because a container reads them as
# another user. Back up the master key apart from the database: without it, no stored phone number
# can be read again.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
chmod 700 secrets

make() {
    if [ -s "secrets/$1" ]; then
        echo "secrets/$1 is there already"
    else
        od -An -v -tx1 -N"$2" /dev/urandom | tr -d ' \n' > "secrets/$1"
        echo "made secrets/$1"
    fi
    chmod 444 "secrets/$1"
}

make master_key 32
make database_password 24
make service_password 24
make backup_password 24
make valkey_password 24
