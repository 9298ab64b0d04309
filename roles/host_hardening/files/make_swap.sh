# shellcheck shell=sh
# Run on the host by its shell, as root. Argument: size in MB. A swap file that the kernel will not have is removed again.
set -eu
umask 077
trap 'rm -f /swapfile' EXIT
# Written, not allocated: not every file system lets the kernel swap to holes.
dd if=/dev/zero of=/swapfile bs=1M count="$1" status=none
mkswap /swapfile >/dev/null
swapon /swapfile
trap - EXIT
