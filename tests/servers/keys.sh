#!/usr/bin/env bash
# Adds SSH keys to a throwaway folder: the server's, and the user's with and without a passphrase.
# usage: keys.sh STATE
set -euo pipefail
umask 077
state=${1:?usage: keys.sh STATE}
command -v ssh-keygen >/dev/null || { echo "ssh-keygen is not installed (Debian package: openssh-client)" >&2; exit 2; }
mkdir "$state/ssh"
cd "$state/ssh"
key() { # key NAME TYPE [OPTION…]
  ssh-keygen -q -N '' -C throwaway -f "$1" -t "${@:2}"
}
key host_ed25519 ed25519
key host_ecdsa ecdsa
# proftpd reads RSA keys as PEM alone.
key host_rsa rsa -b 2048 -m PEM
key user_ed25519 ed25519
key user_rsa rsa -b 2048
for name in user_ed25519 user_rsa; do
  cp "$name" "${name}_locked"
  ssh-keygen -q -p -P '' -N 'p4ss phrase' -f "${name}_locked" >/dev/null
  cat "$name.pub" >>authorized_keys
  ssh-keygen -e -f "$name.pub" >>authorized_rfc4716
done
if [ "$(id -u)" = 0 ]; then chown nobody:nogroup . host_* authorized_*; fi
