#!/usr/bin/env bash
# All tests: everything on the project's own Python, then the tests of edge/ on each other one found.
# 3.8 is JetPack 5, 3.10 JetPack 6, 3.12 JetPack 7.
set -euo pipefail
cd "$(dirname "$0")/.."

find_python() { # $1 = 3.8 -> path of an interpreter of that version, from the PATH or pyenv
  local candidate
  for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
    if "$candidate" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])' "$1" 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

make_venv() { # $1 = version, $2 = interpreter; the device's packages and the test runner only
  local venv=".venv-$1"
  if [ ! -e "$venv/.made" ] || [ setup.py -nt "$venv/.made" ]; then
    echo "setting up $venv"
    "$2" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --upgrade pip
    "$venv/bin/python" -m pip install --quiet --editable '.[edgetest]'
    touch "$venv/.made"
  fi
}

own=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
echo "== all tests, Python $own"
.venv/bin/python -m pytest -n auto --dist loadfile "$@"

for version in 3.8 3.10 3.12; do
  [ "$version" = "$own" ] && continue
  if interpreter=$(find_python "$version"); then
    make_venv "$version" "$interpreter"
    echo "== tests of edge/, Python $version"
    ".venv-$version/bin/python" -m pytest -n auto --dist loadfile tests/edge -p no:cacheprovider
  else
    echo "== Python $version was not found: tests of edge/ not run on it"
  fi
done
