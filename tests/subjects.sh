#!/usr/bin/env bash
# The subject of a commit has at most 72 characters: of every commit since BASE, older ones stay.
#
#   subjects.sh [FILE]      FILE = a message that is not committed yet, as git's commit-msg hook gives
set -euo pipefail

BASE=a4ea849e09e9
MOST=72
LC_ALL=C.UTF-8

fits() { # $1 = subject
  [ ${#1} -le $MOST ] || {
    echo "a commit's subject has ${#1} characters, at most $MOST: $1" >&2
    return 1
  }
}

if [ $# -gt 0 ]; then
  fits "$(head -n 1 "$1")"
  exit
fi
cd "$(dirname "$0")/.."
if ! git rev-parse --quiet --verify "$BASE^{commit}" >/dev/null 2>&1; then
  echo "commit subjects not checked: no git, or a clone without $BASE"
  exit 0
fi
wrong=0
while IFS= read -r subject; do
  fits "$subject" || wrong=1
done < <(git log --format=%s "$BASE..HEAD")
exit $wrong
