#!/usr/bin/env bash
# The Debian packages that make's targets need beyond git, make and python3.
# Root: installs those that are missing. Anybody else: prints the one command that does, exits 69.
#
#   system.sh venv      what a Python environment needs
#   system.sh check     what `make check` needs
#   system.sh test      what `make test` needs
#   system.sh spark     what `make spark-test` needs
#   system.sh flower    what `make flower-test` needs
#   system.sh vm        what `make vm` and `make vm-test` need
set -euo pipefail

level=${1:-}
python=${PYTHON:-python3}
missing=()

need() { # $1 = package, the rest = a command that succeeds where the package is there
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}

have() { # $1 = program; some stand in sbin, which a user's PATH may lack
  PATH=$PATH:/usr/sbin:/sbin command -v "$1"
}

modules() { # names that the system's Python can import
  local name
  for name; do
    /usr/bin/python3 -c "import $name"
  done
}

# The server of the tests of cameras: its bindings belong to the system's Python.
rtsp_server() {
  /usr/bin/python3 - <<'PYTHON'
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
assert all(map(Gst.ElementFactory.find, ["videotestsrc", "x264enc", "rtph264pay"]))
PYTHON
}

environments() { # whether both Pythons that make environments can
  "$python" -c 'import ensurepip' && modules ensurepip
}

case $level in
  venv | check | test | spark | flower) need python3-venv environments ;;&
  check | test) need shellcheck have shellcheck ;;&
  test)
    need g++ have g++
    need mosquitto have mosquitto
    need openssl have openssl
    need ffmpeg have ffmpeg
    need iproute2 have ip
    need e2fsprogs have mkfs.ext4
    need systemd have systemd-analyze
    need dpkg-dev have dpkg-deb
    need lintian have lintian
    need chromium have chromium # tests/foreign: 80 MB to fetch, 350 MB on disk, 10 s
    need python3-opencv modules cv2
    rtsp_server >/dev/null 2>&1 || missing+=(
      python3-gi gir1.2-gst-rtsp-server-1.0
      gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly
    )
    ;;
  spark) need default-jre-headless have java ;;
  flower) need openssl have openssl ;;
  vm)
    need mmdebstrap have mmdebstrap
    need qemu-system-x86 have qemu-system-x86_64
    need qemu-utils have qemu-img
    need e2fsprogs have mkfs.ext4
    need openssh-client have ssh
    need openssl have openssl
    need mosquitto have mosquitto
    need dpkg-dev have dpkg-deb
    ;;
  venv | check) ;;
  *)
    echo "usage: system.sh venv | check | test | spark | flower | vm" >&2
    exit 78
    ;;
esac

[ ${#missing[@]} -gt 0 ] || exit 0
if ! have apt-get >/dev/null; then
  echo "missing, by Debian's names: ${missing[*]}; there is no apt-get here to install them" >&2
  exit 69
fi
if [ "$(id -u)" != 0 ]; then
  echo "missing Debian packages: sudo apt install ${missing[*]}" >&2
  exit 69
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install --yes -qq --no-install-recommends "${missing[@]}" >/dev/null
