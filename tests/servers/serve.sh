#!/usr/bin/env bash
# Becomes one throwaway server on loopback, in the foreground, until it is stopped or whoever started it ends. It can
# only be read.
# usage: serve.sh KIND PORT STATE     (passive data on PORT+1 .. PORT+40)
# FTPS: proftpd | proftpd-tls12 | proftpd-implicit | vsftpd | vsftpd-implicit; CERT=good|expired|othername|future
# SFTP: sshd                password or key
#       sshd-questions      keyboard-interactive
#       proftpd-sftp        password or key
#       proftpd-sftp-old    only diffie-hellman-group14-sha1, ssh-rsa, aes128-ctr, hmac-sha1
#       proftpd-sftp-older  the same with aes128-cbc
set -euo pipefail
umask 022
here=$(cd "$(dirname "$0")" && pwd)
kind=${1:?} port=${2:?} state=$(cd "${3:?}" && pwd)
unpacked=${PHDS_TEST_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/phds/servers}
PATH=$PATH:/usr/sbin:/sbin:$unpacked/usr/sbin
need() { # need FILE-OR-PROGRAM PACKAGES
  [ -e "$1" ] || command -v "$1" >/dev/null || { echo "$1 is not there (Debian: $2); scripts/test installs it" >&2; exit 2; }
}
# Nothing here needs the administrator, who may read everything.
run=(setpriv --pdeathsig TERM) runuser=$(id -un) rungroup=$(id -gn)
if [ "$(id -u)" = 0 ]; then
  run+=(--reuid nobody --regid nogroup --clear-groups) runuser=nobody rungroup=nogroup
fi
conf=$state/run/$kind.conf
fill() { # fill TEMPLATE: replaces @NAME@ marks
  sed -e "s|@PORT@|$port|g" -e "s|@STATE@|$state|g" -e "s|@CERT@|${CERT:-good}|g" \
    -e "s|@PASV_LO@|$((port + 1))|g" -e "s|@PASV_HI@|$((port + 40))|g" \
    -e "s|@RUNUSER@|$runuser|g" -e "s|@RUNGROUP@|$rungroup|g" "$here/$1" >"$conf"
}
case $kind in
sshd | sshd-questions)
  need sshd openssh-server
  wrapper=$(find "$unpacked"/usr/lib /usr/lib -name libnss_wrapper.so 2>/dev/null | head -n 1)
  need "${wrapper:-libnss_wrapper.so}" libnss-wrapper
  fill sshd_config.in
  if [ "$kind" = sshd-questions ]; then
    printf '%s\n' 'UsePAM yes' 'KbdInteractiveAuthentication yes' 'AuthenticationMethods keyboard-interactive' >>"$conf"
  fi
  # A copy: nobody may look into the administrator's home, and PAM knows sshd by the name of its file. Under a name of
  # our own it gets the rules of /etc/pam.d/other. The wrapper shows this process a list of users of its own, so that
  # no user of this machine is made or asked.
  cp "$(command -v sshd)" "$state/run/phds-test-sshd"
  cp "$wrapper" "$state/run/libnss_wrapper.so"
  exec "${run[@]}" env LD_PRELOAD="$state/run/libnss_wrapper.so" \
    NSS_WRAPPER_PASSWD="$state/run/passwd" NSS_WRAPPER_GROUP="$state/run/group" \
    "$state/run/phds-test-sshd" -D -E "$state/log/sshd" -f "$conf" ;;
proftpd*)
  need proftpd 'proftpd-core, proftpd-mod-crypto'
  need /usr/lib/proftpd/mod_tls.so proftpd-mod-crypto
  fill proftpd.conf.in
  case $kind in
  proftpd) defines=(TLS TLS13) ;;
  proftpd-tls12) defines=(TLS) ;;
  proftpd-implicit) defines=(TLS TLS13 IMPLICIT) ;;
  proftpd-sftp) defines=(SFTP NEW) ;;
  proftpd-sftp-old) defines=(SFTP OLD CTR) ;;
  proftpd-sftp-older) defines=(SFTP OLD CBC) ;;
  *) echo "unknown kind $kind" >&2; exit 2 ;;
  esac
  exec "${run[@]}" proftpd --nodaemon -q "${defines[@]/#/-D}" -c "$conf" ;;
vsftpd*)
  need vsftpd 'vsftpd, unpacked beside proftpd because the two packages conflict'
  fill vsftpd.conf.in
  if [ "$kind" = vsftpd-implicit ]; then echo 'implicit_ssl=YES' >>"$conf"; fi
  exec setpriv --pdeathsig TERM vsftpd "$conf" ;;
*) echo "unknown kind $kind" >&2; exit 2 ;;
esac
