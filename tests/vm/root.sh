#!/bin/sh
# Disks of the machine, from base.sh's archive. Root; mounts an overlay and unmounts it again.
#
#   root.sh bare ARCHIVE FOLDER        FOLDER/root, vmlinuz, initrd.img, key and bare.raw: no program
#   root.sh box FOLDER PACKAGE DISK    DISK: FOLDER/root with our package installed
set -eu

size=5G # sparse; what is written takes 2 GB

settle() { # what the system needs to boot in this machine; $1 = its root
  echo box >"$1/etc/hostname"
  printf '127.0.0.1 localhost box\n10.0.2.2 broker.local\n' >"$1/etc/hosts"
  printf 'nameserver 10.0.2.3\n' >"$1/etc/resolv.conf"
  printf '/dev/vda / ext4 defaults,noatime 0 1\n' >"$1/etc/fstab"
  : >"$1/etc/machine-id"
  mkdir -p "$1/var/log/journal"
  printf '[Match]\nName=en*\n[Network]\nDHCP=yes\n' >"$1/etc/systemd/network/80-dhcp.network"
  wants=$1/etc/systemd/system/multi-user.target.wants
  ln -sf /lib/systemd/system/systemd-networkd.service "$wants/"
  install -d -m 700 "$1/root/.ssh"
  install -m 600 "$2" "$1/root/.ssh/authorized_keys"
  # Nobody reads them here, and each costs seconds of a machine without KVM. The clock is the cases' own.
  for unit in systemd-timesyncd.service e2scrub_reap.service apt-daily.timer apt-daily-upgrade.timer \
    dpkg-db-backup.timer fstrim.timer getty@tty1.service systemd-binfmt.service; do
    ln -sf /dev/null "$1/etc/systemd/system/$unit"
  done
}

kernel() { # a small initramfs: the disk's driver and its file system; $1 = root, $2 = place
  version=$(ls "$1/lib/modules")
  printf 'MODULES=list\nCOMPRESS=zstd\nRESUME=none\n' >"$1/etc/initramfs-tools/conf.d/small"
  printf 'virtio_pci\nvirtio_blk\next4\n' >"$1/etc/initramfs-tools/modules"
  mount --bind /proc "$1/proc"
  mount --bind /dev "$1/dev"
  trap 'umount "$1/proc" "$1/dev"' EXIT
  chroot "$1" update-initramfs -c -k "$version" >/dev/null
  umount "$1/proc" "$1/dev"
  trap - EXIT
  cp "$1/boot/vmlinuz-$version" "$2/vmlinuz"
  cp "$1/boot/initrd.img-$version" "$2/initrd.img"
}

disk() { # $1 = root, $2 = disk; whole or not there
  rm -f "$2.part"
  mkfs.ext4 -q -F -d "$1" "$2.part" "$size"
  mv "$2.part" "$2"
}

bare() {
  archive=$1 folder=$2
  rm -rf "$folder.part"
  mkdir -p "$folder.part/root"
  tar -xpf "$archive" -C "$folder.part/root" --numeric-owner
  ssh-keygen -q -t ed25519 -N '' -C box -f "$folder.part/key"
  settle "$folder.part/root" "$folder.part/key.pub"
  kernel "$folder.part/root" "$folder.part"
  disk "$folder.part/root" "$folder.part/bare.raw"
  mv "$folder.part" "$folder"
}

box() {
  folder=$1 package=$2 target=$3
  work=$(mktemp -d "$folder/work.XXXXXX")
  mkdir "$work/up" "$work/work" "$work/root"
  mount -t overlay overlay -o "lowerdir=$folder/root,upperdir=$work/up,workdir=$work/work" "$work/root"
  trap 'umount -R "$work/root"; rm -rf "$work"' EXIT
  mount -t proc proc "$work/root/proc"
  cp "$package" "$work/root/root/edge-pose.deb"
  DEBIAN_FRONTEND=noninteractive chroot "$work/root" \
    apt-get install -y -qq --no-install-recommends /root/edge-pose.deb
  umount "$work/root/proc"
  disk "$work/root" "$target"
}

command=$1
shift
case $command in
  bare) bare "$@" ;;
  box) box "$@" ;;
  *)
    echo "usage: root.sh bare ARCHIVE FOLDER | box FOLDER PACKAGE DISK" >&2
    exit 78
    ;;
esac
