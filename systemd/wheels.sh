#!/bin/sh
# The wheels a box needs, for Pythons and a machine that need not be this one.
#
#   wheels.sh FOLDER ARCH PYTHON...      ARCH = arm64 or amd64, PYTHON = 3.8 ...
#
# FOLDER has a folder for each Python, since one library's versions for them differ.
#
# What is there is not fetched again. Versions per Python, because the system's OpenCV and TensorRT
# are built for the NumPy of their time: 1.23 at the latest on JetPack 5, 1.x on JetPack 6.
set -eu

cd "$(dirname "$0")/.."
folder=$1 arch=$2
shift 2
[ $# -gt 0 ] || {
  echo "wheels.sh: for which Pythons? PYTHONS='3.11', as /usr/bin/python3 of the machine is" >&2
  exit 78
}
python=${BUILD_PYTHON:-.venv/bin/python}
case $arch in
  arm64) machine=aarch64 ;;
  amd64) machine=x86_64 ;;
  *)
    echo "wheels.sh: no architecture $arch: arm64 or amd64" >&2
    exit 78
    ;;
esac
mkdir -p "$folder"

platforms=
for glibc in 17 24 26 27 28 31; do # JetPack 5 has glibc 2.31
  platforms="$platforms --platform manylinux_2_${glibc}_$machine"
done

fetch() { # $1 = Python, then requirements
  version=$1
  shift
  abi=cp$(printf %s "$version" | tr -d .)
  stamp=$folder/$version/.fetched-$(printf '%s ' "$@" | cksum | cut -d ' ' -f 1)
  [ ! -e "$stamp" ] || return 0
  rm -rf "${folder:?}/$version"
  mkdir -p "$folder/$version"
  # shellcheck disable=SC2086 # a list of options
  "$python" -m pip --disable-pip-version-check download --quiet --no-deps --only-binary=:all: \
    --dest "$folder/$version" --implementation cp --python-version "$version" \
    --abi "$abi" --abi abi3 --abi none $platforms --platform "manylinux2014_$machine" "$@"
  : >"$stamp"
}

for version; do
  # onnx from 1.18 on needs ml_dtypes too, which does not know the oldest NumPy.
  case $version in
    3.8) set -- 'numpy==1.23.5' 'onnx>=1.15,<1.18' tomli typing-extensions ;;
    3.9 | 3.10) set -- 'numpy<2' 'onnx>=1.15,<1.18' tomli typing-extensions ;;
    3.11 | 3.12) set -- 'numpy<2' 'onnx>=1.15,<1.18' ;;
    *) set -- 'numpy<3' 'onnx>=1.18,<2' ml_dtypes typing-extensions ;;
  esac
  fetch "$version" "$@" 'cryptography>=41' 'cbor2>=5.6,<7' 'paho-mqtt>=2,<3' 'tomlkit>=0.13,<1' 'lark>=1.1.9,<2' \
    orjson 'onnxruntime>=1.16,<2' flatbuffers protobuf packaging cffi pycparser pip \
    'tflite>=2.10' 'tqdm>=4.60'
done

rm -rf build "$folder"/edge_pose-*.whl
"$python" -m pip --disable-pip-version-check wheel --quiet --no-deps --wheel-dir "$folder" .
rm -rf build
