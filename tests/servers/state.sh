#!/usr/bin/env bash
# Makes one throwaway folder for a test server: a private authority, certificates, a user and an empty root folder.
# usage: state.sh STATE
set -euo pipefail
umask 077
state=${1:?usage: state.sh STATE}
user=phds-test
# Awkward on purpose: breaks a client that pastes it into a URL.
password='Ab1#2:@/ %x'
command -v openssl >/dev/null || { echo "openssl is not installed (Debian package: openssl)" >&2; exit 2; }
mkdir -p "$state"/{pki,root,run,log}
chmod 755 "$state" "$state/root"
cd "$state"
printf '%s' "$user" >run/user
printf '%s' "$password" >run/password

key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
authority() { # authority NAME
  openssl req -x509 "${key[@]}" -days 30 -keyout "pki/$1.key" -out "pki/$1.pem" -subj "/CN=throwaway $1" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}
authority ca
authority otherca
# `openssl x509 -req` of version 3.0 takes no start date; `openssl ca` does.
mkdir pki/ca.d && : >pki/ca.d/index
printf '[ca]\ndefault_ca=c\n[c]\nnew_certs_dir=pki/ca.d\ndatabase=pki/ca.d/index\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n' >pki/ca.d/cnf
leaf() { # leaf NAME NAMES [START END]
  local name=$1 names=$2
  openssl req "${key[@]}" -keyout "pki/$name.key" -out "pki/$name.csr" -subj "/CN=$name" 2>/dev/null
  printf 'subjectAltName=%s\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature\n' \
    "$names" >"pki/$name.ext"
  openssl ca -batch -config pki/ca.d/cnf -cert pki/ca.pem -keyfile pki/ca.key -in "pki/$name.csr" \
    -startdate "${3:-20200101000000Z}" -enddate "${4:-20480101000000Z}" -extfile "pki/$name.ext" -notext \
    -out "pki/$name.pem" 2>/dev/null
}
# 127.0.0.2 is where a proxy stands before a server.
leaf good 'DNS:localhost,IP:127.0.0.1,IP:127.0.0.2'
leaf othername 'DNS:other.invalid'
leaf expired 'DNS:localhost,IP:127.0.0.1' 20200101000000Z 20200201000000Z
leaf future 'DNS:localhost,IP:127.0.0.1' 20470101000000Z 20480101000000Z

# Never the administrator, who may read everything. `serve.sh` runs the servers as this user too.
user_id=$(id -u) group_id=$(id -g)
if [ "$user_id" = 0 ]; then user_id=$(id -u nobody) group_id=$(id -g nobody); fi
hash=$(openssl passwd -6 -stdin <<<"$password")
printf '%s:%s:%s:%s::%s:/bin/false\n' "$user" "$hash" "$user_id" "$group_id" "$state/root" >run/passwd
printf 'throwaway:x:%s:%s\n' "$group_id" "$user" >run/group
printf '%s\n' "$password" >run/vsftpd.passwords
if [ "$(id -u)" = 0 ]; then chown -R nobody:nogroup .; fi
