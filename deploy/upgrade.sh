#!/bin/sh
# Puts the version of this folder in the place of the one that runs, a container after the other,
# while messages go on leaving: `sh deploy/upgrade.sh FOLDER`. FOLDER is that of the version that
# runs; its settings and secrets are taken over, and it is kept for the way back.
#
#   sh deploy/upgrade.sh --stop FOLDER    all of ours stopped first: where `migrate` says that it must be
#   sh deploy/upgrade.sh --back FOLDER    back to that version, on the tables as they are now
set -eu
cd "$(dirname "$0")/.."
here=$PWD
healthy_seconds=240

refuse() {
    printf '%s\n%s\n' "$1" "$2" >&2
    exit 1
}

how=
case ${1:-} in --stop | --back) how=$1 && shift ;; esac
[ $# = 1 ] || refuse \
    "用法：sh deploy/upgrade.sh [--stop|--back] 正在运行的版本的文件夹" \
    "Usage: sh deploy/upgrade.sh [--stop|--back] FOLDER-OF-THE-VERSION-THAT-RUNS"
other=$(cd "$1" 2> /dev/null && pwd) && [ -f "$other/docker-compose.yml" ] || refuse \
    "$1 中没有 docker-compose.yml：请写正在运行的版本的文件夹。" \
    "$1 has no docker-compose.yml: name the folder of the version that runs."
[ "$other" != "$here" ] || refuse \
    "新版本须放在自己的文件夹中，原来的文件夹留着退回用。" \
    "Unpack the new version into a folder of its own; the earlier one is kept for the way back."

# docker compose with the files of a folder.
compose() (
    cd "$1" && shift
    exec docker compose "$@"
)

# The images that are ours, by the files of a folder.
ours_of() {
    compose "$1" --profile '*' config --images | grep '^tocsin' | sort -u
}

id_of() {
    docker image inspect --format '{{.Id}}' "$1" 2> /dev/null || true
}

# A container of a service made anew with the files of a folder, and healthy.
renew() {
    echo "$2 …"
    compose "$1" up --detach --no-deps --wait --wait-timeout "$healthy_seconds" "$2" || refuse \
        "$2 没有正常运行，其余容器保持原样：用 docker compose logs $2 看原因；$way_back" \
        "$2 did not get healthy; the other containers are as they were: see docker compose logs $2. $way_back_english"
}

# The servers come first: what is new may need them as they are in its files.
renew_servers() {
    compose "$1" up --detach --no-deps --wait --wait-timeout "$healthy_seconds" postgres valkey
}

# Ours, then whatever else runs and is in the files: the backup, the proxy, Prometheus.
renew_all() {
    renew "$1" api
    renew "$1" workers
    services=$(compose "$1" --profile '*' config --services)
    for service in $services; do
        case $service in channel*) renew "$1" "$service" ;; esac
    done
    for service in $running; do
        case $service in
            postgres | valkey | migrate | api | workers | channel*) continue ;;
        esac
        if echo "$services" | grep -qx "$service"; then
            echo "$service …"
            compose "$1" up --detach --no-deps "$service"
        fi
    done
    compose "$1" up --detach --no-recreate --remove-orphans
}

way_back="退回：sh deploy/upgrade.sh --back $1"
way_back_english="Back: sh deploy/upgrade.sh --back $1"
running=$(compose "$here" ps --services --status running)

if [ "$how" = --back ]; then
    cp -a deploy/secrets/. "$other/deploy/secrets" # a password may be newer than that version
    for image in $(ours_of "$other"); do
        if [ -n "$(id_of "$image-before")" ]; then docker tag "$image-before" "$image"; fi
    done
    way_back="再换成新版本：sh deploy/upgrade.sh $1"
    way_back_english="Forward again: sh deploy/upgrade.sh $1"
    renew_servers "$other"
    renew_all "$other"
    echo "已退回 / back: $other"
    exit 0
fi

mkdir -p deploy/secrets
chmod 700 deploy/secrets
cp -a "$other/deploy/secrets/." deploy/secrets
for settings in deploy/env .env; do
    if [ -f "$other/$settings" ]; then cp -a "$other/$settings" "$settings"; fi
done
sh deploy/make-secrets.sh

old=$(for image in $(ours_of "$other"); do echo "$image=$(id_of "$image")"; done)
if [ -d images ]; then
    for archive in images/*.tar*; do docker load --input "$archive"; done
else
    docker compose build
    if echo "$running" | grep -qx backup; then docker compose build backup; fi
fi
# Two versions that have one name: the earlier one gets another.
for pair in $old; do
    image=${pair%%=*} before=${pair#*=}
    if [ -n "$before" ] && [ "$(id_of "$image")" != "$before" ]; then
        docker tag "$before" "$image-before"
    fi
done

if [ "$how" = --stop ]; then
    # shellcheck disable=SC2046  # names of services
    docker compose stop $(echo "$running" | grep -E '^(channel.*|workers|api)$')
fi
renew_servers "$here"
docker compose run --rm --no-deps migrate || refuse \
    "表没有升级，原来的版本继续工作。上面写着原因；若要求停止进程：sh deploy/upgrade.sh --stop $1" \
    "The tables were not migrated; the earlier version goes on. The reason is above; if processes have to be stopped: sh deploy/upgrade.sh --stop $1"
renew_all "$here"
echo "已升级 / upgraded: $here; $way_back / $way_back_english"
