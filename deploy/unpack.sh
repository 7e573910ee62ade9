#!/bin/sh
# Checks the signature of an archive of `deploy/bundle`, and unpacks it into this folder only if it
# is good: `sh unpack.sh tocsin-….tar`. The first time on a machine, with the fingerprint of the key
# as the letter has it: `sh unpack.sh --key 'FINGERPRINT' tocsin-….tar`. The key is kept then, and
# every later archive is held to it. Beside the archive lie its signature and tocsin.pub.
# 先核对安装包的签名，正确才解压到当前文件夹。本机第一次使用时，用 --key 写上公函中的密钥指纹。
set -eu

refuse() {
    printf '%s\n%s\n' "$1" "$2" >&2
    exit 1
}

told=
if [ "${1:-}" = --key ] && [ $# -ge 2 ]; then
    told=$(printf %s "$2" | tr -d ' :\t' | tr A-F a-f)
    shift 2
fi
[ $# = 1 ] || refuse \
    "用法：sh unpack.sh [--key '密钥指纹'] 安装包.tar" \
    "Usage: sh unpack.sh [--key 'FINGERPRINT'] ARCHIVE.tar"
archive=$1
name=$(basename "$archive" .tar)
command -v openssl > /dev/null || refuse \
    "没有 openssl，无法核对签名：请先安装 openssl（系统安装盘中有）。" \
    "There is no openssl to check the signature with: install it first (the system's medium has it)."
[ -f "$archive" ] && [ -f "$archive.sig" ] || refuse \
    "没有找到 $archive 或它的签名 $archive.sig：请把两个文件一起复制过来。" \
    "There is no $archive, or no signature $archive.sig: copy both files."
[ ! -e "$name" ] || refuse \
    "$name 已经存在：请先移走，或在别的文件夹中解压。" \
    "$name is there already: move it away, or unpack in another folder."

# What is checked is a copy that nobody else can change; that one is unpacked.
copy=$(mktemp -d "$PWD/.unpack-XXXXXX")
trap 'rm -rf "$copy"' EXIT
trap 'exit 1' HUP INT TERM
cp "$archive" "$copy/archive.tar"
cp "$archive.sig" "$copy/archive.sig"

if [ "$(id -u)" = 0 ]; then kept=/etc/tocsin/archive.pub; else kept=$HOME/.config/tocsin/archive.pub; fi
if [ -n "$told" ]; then
    cp "$(dirname "$archive")/tocsin.pub" "$copy/key" 2> /dev/null || refuse \
        "安装包旁边没有 tocsin.pub：请一起复制过来。" \
        "There is no tocsin.pub beside the archive: copy it as well."
    found=$(sha256sum "$copy/key" | cut -d ' ' -f 1)
    [ "$found" = "$told" ] || refuse \
        "tocsin.pub 的指纹与所写的不同：不要安装。请核对公函；若没有写错，请联系发函单位。" \
        "tocsin.pub has another fingerprint: do not install it. Compare with the letter; if that is what you wrote, call its sender."
elif [ -f "$kept" ]; then
    cp "$kept" "$copy/key"
else
    refuse \
        "本机还没有密钥：第一次须写 --key '密钥指纹'，指纹在另行送达的公函中，不要取自安装包所在的介质。" \
        "This machine has no key yet: the first time takes --key 'FINGERPRINT', of the letter that came by another way than the archive."
fi
openssl dgst -sha256 -verify "$copy/key" -signature "$copy/archive.sig" "$copy/archive.tar" \
    > /dev/null 2>&1 || refuse \
    "签名不对：安装包不完整、被改动过，或不是由这个密钥签署的。没有解压任何内容，请重新复制；仍不对时不要安装。" \
    "The signature is wrong: the archive was cut, changed, or signed by another key. Nothing was unpacked; copy it again, and do not install it if that does not help."

mkdir "$copy/content"
tar -xf "$copy/archive.tar" -C "$copy/content" --no-same-owner
if [ -n "$told" ]; then
    mkdir -p "$(dirname "$kept")"
    cp "$copy/key" "$kept"
    chmod 644 "$kept"
fi
mv "$copy/content/$name" .
echo "签名正确，已解压 / signature good, unpacked: $PWD/$name"
