#!/bin/sh
# Have QEMU, and the disk of a bare Debian machine with its kernel: build.sh FOLDER
# FOLDER/<suite and hash of what it is made of> then has disk.ext4, vmlinuz and initrd.img, and is printed on the last line.
# The machine is as a rented one arrives: systemd, sshd, Python, and AppArmor, which Debian's cloud images have too.
set -eu

suite=trixie
folder=$1
host_keys=$(cd "$(dirname "$0")/../image" && pwd)/ssh-host-keys.service
built=$folder/$suite-$(cat "$0" "$host_keys" | sha256sum | cut -c1-12)
disk_size=10G
packages=apparmor,ca-certificates,dbus,e2fsprogs,iproute2,kmod,libnss-myhostname,linux-image-cloud-amd64,openssh-server,python3
packages=$packages,sudo,systemd,systemd-resolved,systemd-sysv,udev
# 7.2 of Debian 12 crashes a guest that is at work.
least_qemu=9

say() { printf 'qemu: %s\n' "$*"; }
root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
has() { command -v "$1" >/dev/null 2>&1; }

qemu_version() {
  has qemu-system-x86_64 && has qemu-img || return 1
  qemu-system-x86_64 --version | sed -n 's/.*version \([0-9]*\)[.].*/\1/p'
}

# Debian 12 has a sound one in its backports alone: from the mirror that the machine already uses. apt is given this source
# for once, and nothing of it stays in /etc/apt.
backports() {
  apt-get indextargets --format "\$(REPO_URI)" "Codename: $1" 'Component: main' 'Identifier: Packages' | sort -u |
    sed "s|.*|deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] & $1-backports main|"
}

install_qemu() {
  say "installing QEMU"
  release=""
  list=$(mktemp)
  if [ -e /etc/apt/sources.list ]; then cat /etc/apt/sources.list >"$list"; fi
  if grep -q '^VERSION_CODENAME=bookworm$' /etc/os-release; then
    release=bookworm-backports
    backports bookworm >>"$list"
  fi
  chmod 0644 "$list"
  root apt-get -qq -o Dir::Etc::SourceList="$list" update
  root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dir::Etc::SourceList="$list" ${release:+-t "$release"} \
    install --no-install-recommends qemu-system-x86 qemu-utils >/dev/null
  rm -f "$list"
}

bootstrap() {
  target=$1
  mkdir -p "$target"
  # shellcheck disable=SC2016 # the shell that mmdebstrap starts expands it
  root mmdebstrap --quiet --variant=minbase --include="$packages" \
    --customize-hook="copy-in $host_keys /etc/systemd/system" \
    --customize-hook='chroot "$1" systemctl --quiet enable systemd-networkd systemd-resolved ssh-host-keys' \
    "$suite" "$target/root" 2>"$target/log" || { cat "$target/log" >&2; exit 1; }
  printf '[Match]\nName=eth0\n\n[Network]\nDHCP=yes\n' | root tee "$target/root/etc/systemd/network/eth0.network" >/dev/null
  printf '/dev/vda / ext4 defaults,errors=remount-ro 0 1\n' | root tee "$target/root/etc/fstab" >/dev/null
  root ln -sf ../run/systemd/resolve/stub-resolv.conf "$target/root/etc/resolv.conf"
  # Each machine makes its own; systemd asks for a file to write its id to.
  root rm -f "$target"/root/etc/ssh/ssh_host_*_key* "$target/root/etc/hostname"
  root truncate --size 0 "$target/root/etc/machine-id"
}

[ "$(qemu_version || echo 0)" -ge "$least_qemu" ] || install_qemu
if ! has mmdebstrap; then
  say "installing mmdebstrap"
  root apt-get -qq update && root apt-get -qq install --no-install-recommends mmdebstrap >/dev/null
fi
if [ ! -d "$built" ]; then
  say "making a disk with Debian $suite (about a minute)"
  root rm -rf "$built.unfinished"
  bootstrap "$built.unfinished"
  root cp -L "$built.unfinished/root/vmlinuz" "$built.unfinished/root/initrd.img" "$built.unfinished"
  # Its files come from the folder: nothing has to be mounted.
  root /sbin/mke2fs -q -t ext4 -d "$built.unfinished/root" "$built.unfinished/disk.ext4" "$disk_size" >/dev/null
  root rm -rf "$built.unfinished/root" "$built.unfinished/log"
  root chown -R "$(id -u)" "$built.unfinished"
  mv "$built.unfinished" "$built"
fi
echo "$built"
