#!/bin/sh
# Installs Tocsin from the folder that `deploy/bundle` packed, without a network:
# `sh install.sh [FOLDER]`, as root into /opt/tocsin, else into ~/tocsin. An older one there is renewed.
# 无需网络，从本文件夹安装警钟：root 装到 /opt/tocsin，普通用户装到 ~/tocsin。
set -eu
cd "$(dirname "$0")"

refuse() {
    printf '%s\n%s\n' "$1" "$2" >&2
    exit 1
}

sha256sum --check --strict --quiet SHA256SUMS > /dev/null 2>&1 || refuse \
    "安装包不完整或被改动过：请重新复制整个文件，解压后再安装。" \
    "This archive is incomplete or was changed: copy the whole file again, and unpack it."
[ -n "$(find wheels -name "*_$(uname -m).whl")" ] || refuse \
    "安装包不适用于本机的处理器（$(uname -m)）：请换用相应的安装包。" \
    "This archive is not for this processor ($(uname -m)): take the one that is."

for python in python3.13 python3.12 python3.11 none; do
    "$python" -c 'import ensurepip, venv' 2> /dev/null && break
done
[ "$python" != none ] || refuse \
    "需要 Python 3.11、3.12 或 3.13 及其 venv 模块；没有时请使用容器（docs/install.zh.md）。" \
    "It takes Python 3.11, 3.12 or 3.13 with venv; without it, use containers (docs/install.md)."

root=$(id -u)
if [ "$root" = 0 ]; then into=${1:-/opt/tocsin}; else into=${1:-$HOME/tocsin}; fi
"$python" -m venv "$into"
export PIP_NO_INDEX=1 PIP_FIND_LINKS="$PWD/wheels" PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
"$into/bin/python" -m pip install --quiet --require-hashes --only-binary :all: -r requirements.lock
"$into/bin/python" -m pip install --quiet --no-deps --force-reinstall wheels/tocsin-*.whl
rm -rf "$into/deploy" "$into/docs"
cp -R deploy docs "$into"

echo "已安装 / installed: $into/bin/tocsin"
if [ "$root" = 0 ] && [ "$into" = /opt/tocsin ] && [ -d /run/systemd/system ]; then
    install -m 644 deploy/systemd/tocsin.sysusers /usr/lib/sysusers.d/tocsin.conf
    install -m 644 deploy/systemd/tocsin.tmpfiles /usr/lib/tmpfiles.d/tocsin.conf
    systemd-sysusers tocsin.conf
    systemd-tmpfiles --create tocsin.conf
    install -m 644 deploy/systemd/*.service deploy/systemd/*.target deploy/systemd/*.timer /etc/systemd/system
    systemctl daemon-reload
    echo "启动 / start: systemctl enable --now tocsin-up.service"
else
    echo "试用 / try: $into/bin/tocsin demo"
fi
