#!/bin/sh
# One Debian package for an architecture: files of install.sh, wheels for several Pythons, and
# scripts that make the environment on the box.
#
#   deb/build.sh ARCH WHEELS OUT      prints the package's path
#
# The environment is made in postinst and not built in: it belongs to one Python and cannot be made
# for another machine, so that one package serves JetPack 5, 6 and 7. The wheels are in the package,
# so that a box without a network can be installed.
set -eu

cd "$(dirname "$0")/../.."
arch=$1 wheels=$2 out=$3
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' edge/__init__.py)
tree=$out/tree-$arch
package=$out/edge-pose_${version}_$arch.deb
maintainer=${MAINTAINER:-'edge-pose maintainers <edge-pose@example.org>'}

rm -rf "$tree"
DESTDIR=$tree sh systemd/install.sh install "$wheels" >/dev/null
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
  systemd/deb/control >"$tree/DEBIAN/control"
(cd "$tree" && find usr etc -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
chmod 644 "$tree/DEBIAN/control" "$tree/DEBIAN/conffiles" "$tree/DEBIAN/md5sums"
find "$tree" -type d -exec chmod 755 {} +

# Wheels are compressed already.
dpkg-deb --root-owner-group -Zgzip -z1 --build "$tree" "$package" >/dev/null
rm -rf "$tree"
echo "$package"
