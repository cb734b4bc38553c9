#!/usr/bin/env bash
# Builds the image of deploy/Dockerfile with Debian's buildah, as root, without an engine and without a registry of images:
#
#   deploy/image/build.sh [--arch amd64|arm64] [--tag NAME] [--storage DIR]
#
# A base that cannot be pulled is replaced by a stand-in (stand-in-base.sh), and the output says so: an image of this script is
# for trying and testing; build images for others on the bases that deploy/Dockerfile names. Everything is in DIR, by
# default ~/.cache/ftrace-exporter/images: `podman --root DIR/storage --runroot DIR/run --storage-driver vfs` sees it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
arch=$(dpkg --print-architecture)
tag=''
directory=$HOME/.cache/ftrace-exporter/images
while [ $# -gt 0 ]; do
  case $1 in
    --arch) arch=$2 ;;
    --tag) tag=$2 ;;
    --storage) directory=$2 ;;
    *) echo "build.sh: $1 is not a flag of this script: --arch, --tag, --storage" >&2; exit 2 ;;
  esac
  shift 2
done
version=$(sed -n 's/^  "version": "\(.*\)",/\1/p' "$tree/package.json")
tag=${tag:-localhost/ftrace-exporter:$version-$arch}
for program in buildah busybox npm; do
  command -v "$program" >/dev/null ||
    { echo "build.sh: $program is missing: apt-get install buildah busybox-static npm" >&2; exit 1; }
done

mkdir -p "$directory"
# vfs works on every file system and in every sandbox; it costs copies.
buildah=(buildah --root "$directory/storage" --runroot "$directory/run" --storage-driver vfs)
export BUILDAH="${buildah[*]}"
own=$(dpkg --print-architecture)
runtime_base=localhost/ftrace-exporter-stand-in-base:$arch
build_base=localhost/ftrace-exporter-stand-in-build:$own
"$here/stand-in-base.sh" "$arch" base "$runtime_base"
"$here/stand-in-base.sh" "$own" build "$build_base"
for base in BASE_IMAGE BUILD_IMAGE; do
  echo "STANDING IN for $(sed -n "s/^ARG $base=//p" "$tree/deploy/Dockerfile"), which is not pulled: a base made here"
done

# The cache of npm saves downloads; npm still checks packages against the lock file.
cache=$(npm config get cache)
mkdir -p "$cache"
revision=$(git -C "$tree" rev-parse HEAD 2>/dev/null || true)
"${buildah[@]}" build --isolation chroot --network host \
  --pull-never --volume "$cache:/root/.npm" --file "$tree/deploy/Dockerfile" --ignorefile "$tree/.dockerignore" \
  --build-arg "BUILD_IMAGE=$build_base" --build-arg "BASE_IMAGE=$runtime_base" --build-arg "VERSION=$version" \
  --build-arg "REVISION=$revision" --build-arg "CREATED=$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
  --format docker --tag "$tag" "$tree"
echo "built $tag with $(buildah --version | cut -d' ' -f1-3)"
