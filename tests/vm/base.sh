#!/bin/sh
# Debian's part of the machine's disk: a minimal system, its kernel, and what our package depends on.
#
#   base.sh ARCHIVE      makes ARCHIVE (tar); root, network, mmdebstrap
#
# Our package is not in it, so that the archive stays the same while the program changes.
set -eu

archive=$1
mirror=${MIRROR:-http://deb.debian.org/debian}
security=${SECURITY_MIRROR:-http://deb.debian.org/debian-security}
release=bookworm # its Python is 3.11: vm.mk builds the package for it

# What the package depends on, a kernel with vivid and i2c-stub, and what the cases call.
packages=systemd-sysv,dbus,udev,kmod,linux-image-amd64,libpam-systemd,systemd-timesyncd
packages=$packages,python3,python3-venv,python3-opencv,openssl,ca-certificates
packages=$packages,iproute2,procps,openssh-server,v4l-utils,i2c-tools,zstd,initramfs-tools

mmdebstrap --mode=root --variant=minbase --format=tar \
  --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='path-include=/usr/share/doc/edge-pose/*' \
  --include="$packages" "$release" "$archive.part" \
  "deb $mirror $release main" "deb $security $release-security main"
mv "$archive.part" "$archive"
