#!/bin/sh
# Starts nginx with deploy/proxy/nginx.conf, told which server of names this container has: the API's
# address changes when its container is made anew, so nginx asks for it again and again.
set -eu

resolver=$(awk '$1 == "nameserver" { print $2; exit }' /etc/resolv.conf)
case $resolver in
    *:*) resolver="[$resolver]" ;;
esac
sed "s/RESOLVER/$resolver/" /etc/tocsin/nginx.conf > /tmp/nginx.conf
exec "$@" -c /tmp/nginx.conf -g "daemon off;"
