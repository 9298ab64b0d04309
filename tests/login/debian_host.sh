#!/bin/sh
# Run in a mount and a PID namespace of its own: a copy of a Debian, which vanishes with it, and its sshd.
#   debian_host.sh ROOT FOLDER PORT
# FOLDER has prepare.sh, which is run in the copy first, and key.pub; it gets sshd's log.
set -eu
root=$1 folder=$2 port=$3

mkdir "$folder/copy"
mount -t tmpfs tmpfs "$folder/copy"
mkdir "$folder/copy/upper" "$folder/copy/work" "$folder/copy/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$folder/copy/upper,workdir=$folder/copy/work" "$folder/copy/root"
cd "$folder/copy/root"
mkdir -p test run/sshd
mount --bind "$folder" test
mount -t proc proc proc
mount -t devpts devpts dev/pts -o newinstance,ptmxmode=0666
ln -sf pts/ptmx dev/ptmx
chroot . /bin/bash -eu /test/prepare.sh
# Its own log, and not what is left of this script when a test ends it.
exec chroot . /usr/sbin/sshd -D -e -o Port="$port" -o PidFile=/run/sshd.pid 2>>"$folder/sshd.log"
