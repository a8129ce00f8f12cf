#!/usr/bin/env bash
# All tests: everything on .venv's Python, then tests/edge on each other one. The oldest runs them all;
# those between leave out what is slow and the same on every Python (mark one_python), and of each
# other test they run the first and the last set of parameters only (--ends).
# 3.8 is JetPack 5, 3.10 JetPack 6, 3.12 JetPack 7; /usr/bin/python3 is what `make deb` serves.
# Each run of pytest ends with a list of the Pythons: what runs where, and loudly what does not.
# There are two workers more than cores: many tests wait for a process, a socket or a timeout.
set -euo pipefail
cd "$(dirname "$0")/.."

WANTED=(3.8 3.10 3.12)
between="tests/edge --ends, but for the mark one_python"
venv=${VENV:-.venv}
system=${SYSTEM_PYTHON:-/usr/bin/python3}
workers=$(($(nproc) + 2))
tmp=$(mktemp)
trap 'rm -f "$tmp"' EXIT
declare -A state

version_of() { # $1 = interpreter
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

find_python() { # $1 = 3.8 -> an interpreter of that version, from the PATH, the system or pyenv
  local candidate
  for candidate in "python$1" "$system" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
    if [ "$(version_of "$candidate")" = "$1" ]; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

make_venv() { # $1 = version, $2 = interpreter; the device's packages and the test runner only
  local place=".venv-$1"
  if [ ! -e "$place/.made" ] || [ setup.py -nt "$place/.made" ]; then
    echo "setting up $place"
    "$2" -m venv "$place" &&
      "$place/bin/python" -m pip install --quiet --upgrade pip &&
      "$place/bin/python" -m pip install --quiet --editable '.[edgetest]' &&
      touch "$place/.made"
  fi
}

prepare() { # $1 = version: sets its state
  local interpreter
  if ! interpreter=$(find_python "$1"); then
    state[$1]="NOT RUN: there is no python$1 on this machine"
  elif ! make_venv "$1" "$interpreter" 2>"$tmp"; then
    state[$1]="NOT RUN: $interpreter makes no environment: $(grep . "$tmp" | tail -n 1)"
  else
    state[$1]=next
  fi
}

run() { # $1 = version, $2 = interpreter, the rest = what to test
  local version=$1 interpreter=$2
  shift 2
  state[$version]="this run"
  local order=() # xdist of Python 3.8 does not know it: then its own order has to do
  if "$interpreter" -m pytest --help 2>/dev/null | grep -e --no-loadscope-reorder >/dev/null; then
    order=(--no-loadscope-reorder)
  fi
  EDGE_PYTHONS=$(for one in "${versions[@]}"; do
    echo "Python $one: ${what[$one]}: ${state[$one]}"
  done) "$interpreter" -m pytest -n "$workers" --dist loadfile "${order[@]}" "$@"
  state[$version]=passed
}

own=$(version_of "$venv/bin/python")
here=$(version_of "$system") || here=
declare -A what
mapfile -t versions < <(printf '%s\n' "$own" "${WANTED[@]}" ${here:+"$here"} | awk '!seen[$0]++')
for version in "${versions[@]}"; do
  what[$version]=$between
  [ "$version" != "${WANTED[0]}" ] || what[$version]="tests/edge"
  [ "$version" = "$own" ] || prepare "$version"
done
what[$own]="all tests"

echo "== all tests, Python $own"
run "$own" "$venv/bin/python" "$@"
for version in "${versions[@]}"; do
  if [ "${state[$version]}" = next ]; then
    echo "== ${what[$version]}, Python $version"
    chosen=(tests/edge -p no:cacheprovider)
    [ "${what[$version]}" = tests/edge ] || chosen+=(--ends -m "not one_python")
    run "$version" ".venv-$version/bin/python" "${chosen[@]}"
  fi
done
