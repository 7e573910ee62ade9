#!/bin/sh
# Fills deploy/images.lock: `sh deploy/lock-images.sh [IMAGE…]` pulls each image of others that
# docker-compose.yml names and writes down its digest. IMAGE takes the place of one that is named
# alike, for a registry of your own: `registry.example/library/postgres:18`.
set -eu
cd "$(dirname "$0")"

named=$(sed -n 's/.*${\(TOCSIN_[A-Z]*_IMAGE\):-\([^}]*\)}.*/\1=\2/p' ../docker-compose.yml | sort -u)
for given; do
    case "$named" in
        *[/=]"${given##*/}"*) ;;
        *)
            echo "docker-compose.yml has no image like $given" >&2
            exit 2
            ;;
    esac
done

new=$(mktemp)
trap 'rm -f "$new"' EXIT
grep '^#' images.lock > "$new"
for line in $named; do
    image=${line#*=}
    for given; do
        [ "${given##*/}" = "${image##*/}" ] && image=$given
    done
    docker pull --quiet "$image" > /dev/null
    digest=$(docker image inspect --format '{{index .RepoDigests 0}}' "$image")
    echo "${line%%=*}=$image@${digest##*@}" >> "$new"
done
cat "$new" > images.lock
cat images.lock
