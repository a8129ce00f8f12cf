#!/bin/sh
# Puts the program and its service in place, or takes them away again.
#
#   install.sh install [WHEELS [PYTHON...]]
#                                   files below $DESTDIR; without DESTDIR also makes the environment;
#                                   PYTHON = 3.8 ...: only their wheels, else all of WHEELS
#   install.sh uninstall            everything that install put there; what the box made stays
#   install.sh purge                that as well: settings, keys, events, networks
#
# Both can be said twice. A DESTDIR is an image: nothing is run there, its first boot does the rest.
set -eu

cd "$(dirname "$0")/.."
root=${DESTDIR:-}
lib=$root/usr/lib/edge
doc=$root/usr/share/doc/edge-pose
units=$root/usr/lib/systemd/system

put() { # $1 = mode, $2 = file, $3 = place
  mkdir -p "$(dirname "$3")"
  cp "$2" "$3.new"
  chmod "$1" "$3.new"
  mv "$3.new" "$3"
}

put_files() {
  put 644 systemd/edge.service "$units/edge.service"
  put 644 systemd/edge.service.d/50-newer.conf "$units/edge.service.d/50-newer.conf"
  put 644 systemd/edge-setup.service "$units/edge-setup.service"
  put 644 systemd/sysusers.conf "$root/usr/lib/sysusers.d/edge.conf"
  put 644 systemd/tmpfiles.conf "$root/usr/lib/tmpfiles.d/edge.conf"
  put 644 systemd/70-edge.rules "$root/usr/lib/udev/rules.d/70-edge.rules"
  put 755 systemd/make-venv "$lib/make-venv"
  put 755 systemd/setup "$lib/setup"
  put 755 systemd/recipes "$lib/recipes"
  put 755 systemd/bin-edge "$root/usr/bin/edge"
  put 755 systemd/bin-edge-tools "$root/usr/bin/edge-tools"
  for file in BOX.md broker/edge.conf broker/acl csi.conf; do
    put 644 "systemd/$file" "$doc/$file"
  done
  put 755 systemd/broker/authority.sh "$doc/broker/authority.sh"
  put 644 NOTICE "$doc/NOTICE"
  for recipe in engines/*/model.toml; do
    put 644 "$recipe" "$root/usr/share/edge/$recipe"
  done
}

put_wheels() { # $1 = folder, then Pythons; wheels of an older version go
  from=$1
  shift
  if [ $# = 0 ]; then # shellcheck disable=SC2046 # a list of names
    set -- $(cd "$from" 2>/dev/null && ls -d [0-9]*)
  fi
  for version in "${@:-any}"; do
    [ -d "$from/$version" ] || {
      echo "install.sh: no wheels for Python $version in $from: make wheels" >&2
      exit 66
    }
  done
  rm -rf "$lib/wheels"
  for place in "" "$@"; do
    for wheel in "$from/$place"/*.whl; do
      put 644 "$wheel" "$lib/wheels/$place/${wheel##*/}"
    done
  done
}

put_settings() { # what somebody changed stays
  [ -e "$root/etc/edge/edge.toml" ] || put 644 systemd/edge.toml "$root/etc/edge/edge.toml"
}

switch_on() { # by hand what systemctl enable does, as an image has no systemd that runs
  wants=$root/etc/systemd/system/multi-user.target.wants
  mkdir -p "$wants"
  for unit in edge.service edge-setup.service; do
    ln -sfn "/usr/lib/systemd/system/$unit" "$wants/$unit"
  done
}

running() { # whether this is a machine that systemd runs, not an image
  [ -z "$root" ] && [ -d /run/systemd/system ]
}

install_all() { # $1 = folder of wheels, then Pythons
  put_files
  put_settings
  put_wheels "$@"
  switch_on
  if [ -z "$root" ]; then
    "$lib/setup"
  fi
  if running; then
    systemctl daemon-reload
    udevadm control --reload && udevadm trigger --subsystem-match=video4linux
    systemctl restart edge-setup.service
    systemctl restart --no-block edge.service
  fi
}

uninstall_all() {
  if running; then
    systemctl disable --now edge.service edge-setup.service || true
  fi
  rm -rf "$lib" "$root/usr/share/edge" "$doc" "$units/edge.service.d"
  rm -f "$units/edge.service" "$units/edge-setup.service" \
    "$root/usr/lib/sysusers.d/edge.conf" "$root/usr/lib/tmpfiles.d/edge.conf" \
    "$root/usr/lib/udev/rules.d/70-edge.rules" "$root/usr/bin/edge" "$root/usr/bin/edge-tools" \
    "$root/etc/systemd/system/multi-user.target.wants/edge.service" \
    "$root/etc/systemd/system/multi-user.target.wants/edge-setup.service"
  if cmp -s systemd/edge.toml "$root/etc/edge/edge.toml"; then
    rm -f "$root/etc/edge/edge.toml"
  fi
  for folder in etc/edge/credentials etc/edge etc/systemd/system/edge.service.d \
    etc/systemd/system/multi-user.target.wants etc/systemd/system etc/systemd etc \
    usr/lib/systemd/system usr/lib/systemd usr/lib/sysusers.d usr/lib/tmpfiles.d \
    usr/lib/udev/rules.d usr/lib/udev usr/lib usr/bin usr/share/doc usr/share usr; do
    if [ -n "$root" ] || [ "${folder#etc/edge}" != "$folder" ]; then
      rmdir "$root/$folder" 2>/dev/null || true
    fi
  done
  if running; then
    systemctl daemon-reload
  fi
}

purge_all() {
  uninstall_all
  rm -rf "$root/etc/edge" "$root/var/lib/edge" "$root/var/cache/edge" "$root/var/log/edge" \
    "$root/etc/systemd/system/edge.service.d"
  if [ -z "$root" ] && getent passwd edge >/dev/null; then
    userdel edge
  fi
}

case ${1:-} in
  install)
    shift
    [ $# -gt 0 ] || set -- out/wheels
    install_all "$@"
    ;;
  uninstall) uninstall_all ;;
  purge) purge_all ;;
  *)
    echo "usage: install.sh install [WHEELS [PYTHON...]] | uninstall | purge" >&2
    exit 78
    ;;
esac
