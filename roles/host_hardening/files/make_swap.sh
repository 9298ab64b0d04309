# shellcheck shell=sh
# Run on the host by its shell, as root. Argument: size in MB. A swap file that the kernel will not have is removed again, and one that
# is there already is its owner's.
set -eu
umask 077
if [ -e /swapfile ]; then
  echo "/swapfile is there, and is not used; it was left alone" >&2
  exit 1
fi
trap 'rm -f /swapfile.unfinished' EXIT
# Written, not allocated: not every file system lets the kernel swap to holes.
dd if=/dev/zero of=/swapfile.unfinished bs=1M count="$1" status=none
mkswap /swapfile.unfinished >/dev/null
mv /swapfile.unfinished /swapfile
if ! swapon /swapfile; then
  rm -f /swapfile
  exit 1
fi
