#!/usr/bin/env bash
# Becomes one throwaway FTPS server on loopback, in the foreground, until it is stopped. It can only be read.
# usage: serve.sh KIND PORT STATE     (passive data on PORT+1 .. PORT+40)
# KIND: proftpd | proftpd-tls12 | proftpd-implicit | vsftpd | vsftpd-implicit
# CERT=good|expired|othername|future picks the certificate.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kind=${1:?} port=${2:?} state=$(cd "${3:?}" && pwd)
PATH=$PATH:/usr/sbin:/sbin:${PHDS_TEST_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/phds/servers}/usr/sbin
need() { # need PROGRAM PACKAGES
  command -v "$1" >/dev/null || { echo "$1 is not installed (Debian: $2); scripts/test installs it" >&2; exit 2; }
}
runuser=$(id -un) rungroup=$(id -gn)
if [ "$(id -u)" = 0 ]; then runuser=nobody rungroup=nogroup; fi
conf=$state/run/$kind.conf
fill() { # fill TEMPLATE: replaces @NAME@ marks
  sed -e "s|@PORT@|$port|g" -e "s|@STATE@|$state|g" -e "s|@CERT@|${CERT:-good}|g" \
    -e "s|@PASV_LO@|$((port + 1))|g" -e "s|@PASV_HI@|$((port + 40))|g" \
    -e "s|@RUNUSER@|$runuser|g" -e "s|@RUNGROUP@|$rungroup|g" "$here/$1" >"$conf"
}
case $kind in
proftpd*)
  need proftpd 'proftpd-core, proftpd-mod-crypto'
  [ -e /usr/lib/proftpd/mod_tls.so ] || { echo "proftpd has no TLS (Debian: proftpd-mod-crypto); scripts/test installs it" >&2; exit 2; }
  fill proftpd.conf.in
  defines=()
  if [ "$kind" = proftpd-tls12 ]; then defines+=(-D TLS12); fi
  if [ "$kind" = proftpd-implicit ]; then defines+=(-D IMPLICIT); fi
  if [ "$(id -u)" = 0 ]; then defines+=(-D ROOT); fi
  exec proftpd --nodaemon -q "${defines[@]}" -c "$conf" ;;
vsftpd*)
  need vsftpd 'vsftpd, unpacked beside proftpd because the two packages conflict'
  fill vsftpd.conf.in
  if [ "$kind" = vsftpd-implicit ]; then echo 'implicit_ssl=YES' >>"$conf"; fi
  exec vsftpd "$conf" ;;
*) echo "unknown kind $kind" >&2; exit 2 ;;
esac
