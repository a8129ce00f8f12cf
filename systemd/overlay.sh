#!/bin/sh
# One archive to unpack over the root file system of an image before it is flashed: the program, its
# service, its wheels. No key, no name, no password: the box makes those itself at its first boot.
#
#   overlay.sh ARCH WHEELS OUT [PYTHON...]      prints the archive's path
#   BROKER=mqtts://HOST CA=ca.crt   answers that are the same for all boxes of the image
set -eu

cd "$(dirname "$0")/.."
arch=$1 wheels=$2 out=$3
shift 3
tree=$out/tree-$arch
archive=$out/edge-overlay-$arch.tar.gz

rm -rf "$tree"
DESTDIR=$tree sh systemd/install.sh install "$wheels" "$@"
if [ -n "${BROKER:-}" ]; then
  printf 'broker = "%s"\n' "$BROKER" >"$tree/etc/edge/provision.toml"
fi
if [ -n "${CA:-}" ]; then
  if grep -q 'PRIVATE KEY' "$CA"; then
    echo "overlay.sh: $CA holds a secret key, which must not be in an image" >&2
    rm -rf "$tree"
    exit 65
  fi
  mkdir -p "$tree/etc/edge/credentials"
  cp "$CA" "$tree/etc/edge/credentials/ca.crt"
fi
# Files only: an entry for a folder would change the image's own.
(cd "$tree" && find . ! -type d -printf '%P\n' | LC_ALL=C sort) |
  tar --create --gzip --file "$archive" --directory "$tree" --owner root:0 --group root:0 \
    --mtime "@${SOURCE_DATE_EPOCH:-0}" --verbatim-files-from --files-from -
rm -rf "$tree"
echo "$archive"
