#!/bin/sh
# One Debian package for an architecture: files of install.sh, wheels for several Pythons, and
# scripts that make the environment on the box.
#
#   deb/build.sh ARCH WHEELS OUT [PYTHON...]      prints the package's path
#   FOREIGN=1                                     for another distribution than this machine's
#
# Beside the package, and in it, is a software bill of materials of the wheels (CycloneDX).
#
# The environment is made in postinst and not built in: it belongs to one Python and cannot be made
# for another machine, so that one package serves JetPack 5, 6 and 7. The wheels are in the package,
# so that a box without a network can be installed. The package depends on the Pythons it has wheels
# for, and is not built where this machine is meant and could not configure it.
set -eu

cd "$(dirname "$0")/../.."
arch=$1 wheels=$2 out=$3
shift 3
# shellcheck disable=SC2046 # a list of names
[ $# -gt 0 ] || set -- $(cd "$wheels" && ls -d [0-9]*)
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' edge/__init__.py)
tree=$out/tree-$arch
package=$out/edge-pose_${version}_$arch.deb
maintainer=${MAINTAINER:-'edge-pose maintainers <edge-pose@example.org>'}

here=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
case "$(dpkg --print-architecture),${FOREIGN:-}, $* " in
  "$arch,,"*" $here "*) ;;
  "$arch,,"*)
    echo "deb/build.sh: no wheels for Python $here, so this machine could not configure the package:" \
      "make deb PYTHONS=$here; for another distribution: FOREIGN=1" >&2
    exit 78
    ;;
esac
for python; do
  for name in edge_pose "$python/numpy" "$python/onnxruntime" "$python/cryptography" \
    "$python/onnx" "$python/tflite" "$python/tqdm" "$python/pip"; do
    ls "$wheels/$name"-*.whl >/dev/null 2>&1 || {
      echo "deb/build.sh: no wheel $name in $wheels: make wheels PYTHONS='$*'" >&2
      exit 66
    }
  done
done

# Exactly the Pythons that have wheels: apt refuses the others before anything is unpacked.
least=$(printf '%s\n' "$@" | sort -V | head -n 1)
most=$(printf '%s\n' "$@" | sort -V | tail -n 1)
pythons="python3 (>= $least~), python3 (<< 3.$((${most#3.} + 1))~), $(printf 'python%s | ' "$@")"
pythons=${pythons% | }

rm -rf "$tree"
DESTDIR=$tree sh systemd/install.sh install "$wheels" "$@" >/dev/null
# Debian's own tools enable units and keep settings.
rm -rf "$tree/etc/systemd"

doc=$tree/usr/share/doc/edge-pose
cp systemd/deb/copyright "$doc/copyright"
date=$(date -R -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}")
printf 'edge-pose (%s) stable; urgency=medium\n\n  * See CHANGELOG.md of the source.\n\n -- %s  %s\n' \
  "$version" "$maintainer" "$date" | gzip -9n >"$doc/changelog.gz"

mkdir -p "$tree/usr/share/man/man1" "$tree/usr/share/lintian/overrides"
for page in edge edge-tools; do
  gzip -9n <"systemd/deb/$page.1" >"$tree/usr/share/man/man1/$page.1.gz"
done

mkdir -p "$tree/DEBIAN"
for script in postinst prerm postrm; do
  cp "systemd/deb/$script" "$tree/DEBIAN/$script"
  chmod 755 "$tree/DEBIAN/$script"
done
echo /etc/edge/edge.toml >"$tree/DEBIAN/conffiles"
size=$(du -sk --exclude=DEBIAN "$tree" | cut -f 1)
sed -e "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@SIZE@/$size/; s/@MAINTAINER@/$maintainer/" \
  -e "s/@PYTHONS@/$pythons/" \
  systemd/deb/control >"$tree/DEBIAN/control"

# The bill needs the source alone; `wheels` has made the environment that runs it.
bill=${package%.deb}.cdx.json
SOURCE_DATE_EPOCH=$(date -d "$date" +%s) "${BUILD_PYTHON:-.venv/bin/python}" -m tools sbom \
  --wheels "$tree/usr/lib/edge/wheels" --arch "$arch" --out "$bill" \
  --depends "$(sed -n 's/^Depends: //p' "$tree/DEBIAN/control")"
cp "$bill" "$doc/sbom.cdx.json"

(cd "$tree" && find usr etc -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
chmod 644 "$tree/DEBIAN/control" "$tree/DEBIAN/conffiles" "$tree/DEBIAN/md5sums"
find "$tree" -type d -exec chmod 755 {} +

# Wheels are compressed already.
dpkg-deb --root-owner-group -Zgzip -z1 --build "$tree" "$package" >/dev/null
rm -rf "$tree"
echo "$package"
