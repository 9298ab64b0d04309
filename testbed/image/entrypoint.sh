#!/bin/sh
# Give systemd control groups of its own, then become systemd.
# Docker mounts the hierarchies read-only; mounted anew inside the container's private cgroup namespace, they show
# the container's own subtree, writable, so that an engine inside can limit its containers.
set -eu

flags='^(rw|ro|nosuid|nodev|noexec|relatime|xattr|seclabel|nsdelegate|memory_recursiveprot|memory_hugetlb_accounting|favordynmods|clone_children|cpuset_v2_mode)$'

grep ' /sys/fs/cgroup' /proc/mounts | grep -E ' cgroup2? ' | while read -r _ target type options _; do
  umount "$target"
  if [ "$type" = cgroup2 ]; then
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$target"
  else
    controllers=$(printf '%s' "$options" | tr ',' '\n' | grep -vE "$flags" | grep -v '^release_agent=' | paste -sd, -)
    # A hierarchy with a name has no controller, and has to say so.
    case $controllers in name=*) controllers="none,$controllers" ;; esac
    mount -t cgroup -o "nosuid,nodev,noexec,$controllers" cgroup "$target"
  fi
done

exec /sbin/init
