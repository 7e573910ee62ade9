#!/bin/sh
# The promises of the official image's entry point: options alone mean the server, and as root it gives
# the data to the user valkey and becomes that user.
set -eu

case ${1:-} in
    -* | *.conf) set -- valkey-server "$@" ;;
esac
if [ "$1" = valkey-server ] && [ "$(id -u)" = 0 ]; then
    find . \! -user valkey -exec chown valkey '{}' +
    exec setpriv --reuid=valkey --regid=valkey --clear-groups -- "$0" "$@"
fi
umask 0077
exec "$@"
