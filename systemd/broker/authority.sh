#!/bin/sh
# A small certificate authority for boxes, their broker and their consumers.
#
#   authority.sh init DIR               the authority's key and certificate, once; keep DIR safe
#   authority.sh server DIR HOST        server.key and server.crt for the broker's name or address
#   authority.sh sign DIR FILE.csr      a box's request (edge provision) -> DIR/<device>.crt
#   authority.sh consumer DIR NAME      key and certificate for a program that reads
#   authority.sh revoke DIR NAME        nobody gets in with it any more (copy ca.crl to the broker)
set -eu
umask 077

DAYS_CA=3650
DAYS=825

fail() {
  echo "authority.sh: $*" >&2
  exit 78
}

name_ok() { # what edge accepts as a device's name, and what no topic filter can hide in
  # A request with two common names gives two lines, and a broker takes the first name alone.
  case $1 in
    *"
"*) fail "$1: names are one line" ;;
  esac
  printf '%s\n' "$1" | grep -Eqx '[a-z0-9][a-z0-9_-]{0,31}' ||
    fail "$1: names are 1 to 32 of a-z 0-9 _ - and start with a letter or digit"
}

settings() { # openssl's own configuration, so that no other of the machine counts
  cat <<CONF
[ca]
default_ca = own
[own]
database = $dir/index.txt
serial = $dir/serial
crlnumber = $dir/crlnumber
new_certs_dir = $dir/issued
certificate = $dir/ca.crt
private_key = $dir/ca.key
default_md = sha256
default_days = $DAYS
default_crl_days = $DAYS_CA
policy = name_only
unique_subject = no
copy_extensions = none
[name_only]
commonName = supplied
[req]
distinguished_name = dn
[dn]
[authority]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[client]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = ${alt:-DNS:none}
CONF
}

new_key() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$1"
}

issue() { # $1 = request, $2 = extensions, $3 = certificate
  settings >"$dir/openssl.cnf"
  openssl ca -batch -notext -config "$dir/openssl.cnf" -extensions "$2" -in "$1" -out "$3" \
    2>"$dir/openssl.log" || fail "$1: $(grep -v '^Using' "$dir/openssl.log" | head -n 1)"
}

new_list() {
  settings >"$dir/openssl.cnf"
  openssl ca -gencrl -config "$dir/openssl.cnf" -out "$dir/ca.crl" 2>/dev/null
}

request() { # $1 = key, $2 = common name, $3 = request
  settings >"$dir/openssl.cnf"
  openssl req -new -config "$dir/openssl.cnf" -key "$1" -subj "/CN=$2" -out "$3"
}

init() {
  [ ! -e "$dir/ca.key" ] || fail "$dir: there is an authority already"
  mkdir -p "$dir/issued"
  : >"$dir/index.txt"
  openssl rand -hex 16 >"$dir/serial"
  echo 1000 >"$dir/crlnumber"
  new_key "$dir/ca.key"
  settings >"$dir/openssl.cnf"
  openssl req -new -x509 -config "$dir/openssl.cnf" -extensions authority -days "$DAYS_CA" \
    -key "$dir/ca.key" -subj "/CN=edge authority" -out "$dir/ca.crt"
  new_list
  echo "$dir/ca.crt: give it to the broker and to every box; ca.key never leaves this folder"
}

server() {
  case $1 in
    *[!0-9.]*) alt="DNS:$1" ;;
    *) alt="IP:$1" ;;
  esac
  new_key "$dir/server.key"
  request "$dir/server.key" "$1" "$dir/server.csr"
  issue "$dir/server.csr" server "$dir/server.crt"
  echo "$dir/server.crt, $dir/server.key: for the broker $1"
}

sign() {
  [ -r "$1" ] || fail "$1: no such file"
  openssl req -in "$1" -noout -verify 2>/dev/null || fail "$1: is not a certificate request"
  name=$(openssl req -in "$1" -noout -subject -nameopt multiline | sed -n 's/^ *commonName *= //p')
  name_ok "$name"
  case $name in
    dashboard | operator) fail "$name: has rights of its own in the acl; give the box another name" ;;
  esac
  [ ! -e "$dir/$name.key" ] || fail "$name: is a consumer's name; give the box another"
  if [ -e "$dir/$name.crt" ]; then
    old=$(openssl x509 -in "$dir/$name.crt" -noout -pubkey)
    [ "$old" = "$(openssl req -in "$1" -noout -pubkey)" ] ||
      fail "$name: another box has this name; revoke it and remove $dir/$name.crt first"
  fi
  issue "$1" client "$dir/$name.crt"
  echo "$dir/$name.crt: take it to the box: edge provision --certificate $name.crt"
}

consumer() {
  name_ok "$1"
  [ ! -e "$dir/$1.crt" ] || fail "$1: has a certificate already; revoke it and remove it first"
  new_key "$dir/$1.key"
  request "$dir/$1.key" "$1" "$dir/$1.csr"
  issue "$dir/$1.csr" client "$dir/$1.crt"
  echo "$dir/$1.crt, $dir/$1.key: for the consumer $1; the broker's acl says what it may do"
}

revoke() { # every certificate of the name: one that was signed anew leaves its elders valid
  name_ok "$1"
  grep -q "/CN=$1\$" "$dir/index.txt" || fail "$1: nobody of this name has a certificate"
  settings >"$dir/openssl.cnf"
  valid=$(awk -F '\t' -v name="/CN=$1" '$1 == "V" && $6 == name { print $4 }' "$dir/index.txt")
  for serial in $valid; do
    openssl ca -config "$dir/openssl.cnf" -revoke "$dir/issued/$serial.pem" \
      2>"$dir/openssl.log" || fail "$1: $(grep -v '^Using' "$dir/openssl.log" | head -n 1)"
  done
  new_list
  echo "$dir/ca.crl: copy it to the broker and restart it; a reload alone leaves in who is in"
}

[ $# -ge 2 ] || fail "usage: authority.sh init|server|sign|consumer|revoke DIR [NAME]"
command=$1 dir=$2
case $command in
  init) init ;;
  server | sign | consumer | revoke)
    [ $# -eq 3 ] || fail "usage: authority.sh $command DIR NAME"
    [ -r "$dir/ca.key" ] || fail "$dir: no authority there; authority.sh init $dir makes one"
    "$command" "$3"
    ;;
  *) fail "no command $command: init, server, sign, consumer, revoke" ;;
esac
