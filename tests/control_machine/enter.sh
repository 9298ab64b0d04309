#!/bin/sh
# Run a command in the files of a Debian, with the network of this machine and the project at its own place.
#   enter.sh ROOT FOLDER PROJECT COMMAND [ARGUMENT...]
# Run in a mount namespace of its own. What is written to ROOT and FOLDER stays, what is written to the project does not.
set -eu
root=$1 folder=$2 project=$3
shift 3

mount -t tmpfs tmpfs /mnt
mkdir -p /mnt/upper /mnt/work "$root$project" "$root$folder"
mount -t overlay overlay -o "lowerdir=$project,upperdir=/mnt/upper,workdir=/mnt/work" "$root$project"
mount --bind "$folder" "$root$folder"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
# "$2" and so on within are the command's, and not this script's.
# shellcheck disable=SC2016
exec chroot "$root" /bin/sh -c 'cd "$1" && shift && exec "$@"' sh "$project" "$@"
