#!/bin/sh
# shellcheck disable=SC2317 # functions are called by `check` and by the trap
# The service under a real systemd: boots a copy of this machine (overlay, own namespaces) with the
# program installed, and does to it what life does. By hand and as root, on a machine with cgroup 2,
# overlayfs and python3-venv; not a part of `make test`, as not every machine lets a test do this.
#
#   sh tests/service/boot.sh [FOLDER]      about two minutes; leaves nothing behind
set -eu

cd "$(dirname "$0")/../.."
folder=${1:-$(mktemp -d)}
arch=$(dpkg --print-architecture)
version=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
root=$folder/root
group=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/edge-boot-$$
unshared=

clean() {
  if [ -n "$unshared" ]; then
    kill -9 "$(pgrep -P "$unshared")" 2>/dev/null || true
    wait "$unshared" 2>/dev/null || true
  fi
  umount "$root" 2>/dev/null || true
  find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
  rm -rf "$folder"
}
trap clean EXIT
trap 'exit 130' INT TERM

check() { # $1 = what holds, then a command that tells whether it does
  what=$1
  shift
  if "$@" >/dev/null 2>&1; then
    echo "ok     $what"
  else
    echo "NOT    $what"
    failed=1
  fi
}

refused() { # whether a command fails
  ! inside "$1"
}

inside() {
  nsenter -t "$(pgrep -P "$unshared")" -m -p -u -i -C -n -r -w sh -c "$1"
}

value() { # one property of the service
  inside "systemctl show edge.service --value -p $1"
}

until_() { # $1 = seconds, $2 = property, $3 = pattern
  for _ in $(seq "$1"); do
    value "$2" | grep -Eq "$3" && return 0
    sleep 1
  done
  return 1
}

pid_changes() { # $1 = old, $2 = seconds; prints how long it took
  for second in $(seq "$2"); do
    new=$(value MainPID)
    if [ "$new" != 0 ] && [ "$new" != "$1" ] && [ "$(value ActiveState)" = active ]; then
      echo "$second"
      return 0
    fi
    sleep 1
  done
  return 1
}

mkdir -p "$folder/up" "$folder/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/up,workdir=$folder/work" "$root"
sh systemd/wheels.sh "out/wheels-test/$arch" "$arch" "$version"
DESTDIR=$root sh systemd/install.sh install "out/wheels-test/$arch"
chroot "$root" sh /usr/lib/edge/make-venv
.venv/bin/python -m pip download -q --no-deps --only-binary=:all: --python-version "$version" \
  -d "$root/opt/opencv" 'opencv-python-headless<4.12' # its NumPy is 1.x, as JetPack's
chroot "$root" sh -c '/usr/lib/edge/venv/bin/python -m pip install -q --no-deps --no-index /opt/opencv/*.whl'
mkdir -p "$root/var/lib/edge/engines"
cp -r tests/edge/golden/models/* "$root/var/lib/edge/engines/"
cat >"$root/etc/edge/edge.toml" <<'TOML'
device = "edge"
[[cameras]]
name = "cam0"
source = "synthetic://walk?width=320&height=240&fps=10"
[models]
dir = "/var/lib/edge/engines"
[detect]
model = "twobox"
[pose]
model = "standing"
[publish]
sinks = ["jsonl:/var/lib/edge/state/out.jsonl"]
TOML
cat >"$root/etc/systemd/system/edge-test.target" <<'UNIT'
[Unit]
Requires=basic.target
After=basic.target
Wants=edge-setup.service edge.service
UNIT
cat >"$folder/stage.sh" <<STAGE
mount -t proc proc $root/proc
mount -t sysfs sysfs $root/sys
mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs $root/run
mount -t tmpfs -o mode=1777 tmpfs $root/tmp
mount -t tmpfs -o mode=755 tmpfs $root/dev
for node in null zero full random urandom tty; do
  touch $root/dev/\$node
  mount --bind /dev/\$node $root/dev/\$node
done
mkdir $root/dev/shm
ln -s /proc/self/fd $root/dev/fd
mount --make-rshared $root
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot $root \
  /lib/systemd/systemd --system --unit=edge-test.target --log-target=console --show-status=no
STAGE
mkdir -p "$group"
sh -c "echo \$\$ >$group/cgroup.procs && exec unshare --fork --pid --mount --uts --ipc --cgroup \
  --net --kill-child sh $folder/stage.sh" >"$folder/log" 2>&1 &
unshared=$!
failed=0
sleep 3

check "it starts, is ready and tells how it is" until_ 60 StatusText '1 of 1 cameras ok'
process=$(value MainPID)
own="nsenter -t $process -m -r -w"
check "without a capability" inside "grep -q '^CapBnd:.*0000$' /proc/$process/status"
for place in /etc /usr /var/lib; do
  check "cannot write to $place" refused "$own touch $place/x"
done
check "systemd hands it its key" \
  inside "$own grep 'PRIVATE KEY' /run/credentials/edge.service/device.key"
check "its user cannot read the key's file" \
  refused "setpriv --reuid edge --clear-groups cat /etc/edge/credentials/device.key"
check "the sandbox forbids nothing that it does" \
  refused "journalctl -u edge -o cat --no-pager | grep -q 'not permitted'"

check "reload" inside "sed -i 's/fps=10/fps=12/' /etc/edge/edge.toml && systemctl reload edge"
check "and the same process goes on" [ "$(value MainPID)" = "$process" ]
inside "cp /etc/edge/edge.toml /tmp/good && echo 'x = 1' >>/etc/edge/edge.toml"
check "reload of a wrong file fails" refused "systemctl reload edge"
check "and the service goes on" [ "$(value ActiveState)$(value MainPID)" = "active$process" ]
inside "cp /tmp/good /etc/edge/edge.toml"

inside "kill -9 $process"
took=$(pid_changes "$process" 30) || took=never
check "kill -9: back after $took s" [ "$took" != never ]
process=$(value MainPID)
inside "kill -STOP $process"
took=$(pid_changes "$process" 60) || took=never
check "a hang: ended and back after $took s" [ "$took" != never ]
check "and tells where every thread was" \
  inside "journalctl -u edge -o cat --no-pager | grep -q 'most recent call first'"

began=$(date +%s%N)
inside "systemctl stop edge"
took=$((($(date +%s%N) - began) / 1000000))
check "stop: gone after $took ms" [ "$took" -lt 5000 ]
check "and its last word is offline" \
  inside "tail -n 1 /var/lib/edge/state/out.jsonl | grep '\"state\":\"offline\"'"
exit "$failed"
