#!/bin/sh
# Build the image of a bare VM and print its name on the last line: build.sh [trixie|bookworm]
# The name carries a hash of this folder, so an unchanged image is found and not built again.
set -eu

suite=${1:-trixie}
here=$(cd "$(dirname "$0")" && pwd)
hash=$(cat "$here"/* | sha256sum | cut -c1-12)
image="modelhost-vm:$suite-$hash"
base="modelhost-vm-base:$suite"
say() { printf 'image: %s\n' "$*"; }

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

pull() {
  # Ten seconds for the registry to answer at all; then as long as the layers take.
  timeout 10 docker manifest inspect "$1" >/dev/null 2>&1 && docker pull -q "$1" >/dev/null && docker tag "$1" "$base"
}

bootstrap() {
  if ! command -v mmdebstrap >/dev/null; then
    say "installing mmdebstrap"
    as_root=$([ "$(id -u)" = 0 ] || echo sudo)
    $as_root apt-get -qq update && $as_root apt-get -qq install --no-install-recommends mmdebstrap >/dev/null
  fi
  mmdebstrap --quiet --variant=minbase --include=ca-certificates "$suite" - | docker import - "$base" >/dev/null
}

if ! has_image "$image"; then
  if ! has_image "$base"; then
    registry_image=${TESTBED_BASE:-debian:$suite-slim}
    if pull "$registry_image"; then
      say "pulled $registry_image"
    else
      say "no registry answers for $registry_image; bootstrapping Debian $suite from its archive (about 20 s)"
      bootstrap
    fi
  fi
  say "installing systemd and sshd on Debian $suite (about 20 s)"
  DOCKER_BUILDKIT=0 docker build --quiet --build-arg "BASE=$base" --tag "$image" "$here" >/dev/null
fi
echo "$image"
