# shellcheck shell=sh
# Run on the host by find_account, before Python is known to be there. $@: the ports nginx will take.
# Prints name=value lines and changes nothing.
LC_ALL=C
export LC_ALL
# What was printed before is not ours.
echo "modelhost-probe"
# shellcheck source=/dev/null
if [ -r /etc/os-release ]; then . /etc/os-release; fi
echo "user=$(id -un)"
echo "distribution=${ID:-unknown}"
echo "version=${VERSION_ID:-}"
echo "codename=${VERSION_CODENAME:-}"
echo "name=${PRETTY_NAME:-$(uname -s)}"
echo "architecture=$(uname -m)"
echo "packages_are_for=$(dpkg --print-architecture 2>/dev/null)"
echo "seconds=$(date +%s)"
# A new machine of a cloud sets itself up for some minutes, and installs packages then.
if [ -d /run/cloud-init ] && [ ! -e /run/cloud-init/disabled ] && [ ! -e /run/cloud-init/result.json ]; then
  echo "cloud_init=runs"
else
  echo "cloud_init=no"
fi
if ! command -v python3 >/dev/null && ! [ -e /usr/bin/python3 ]; then
  echo "python=none"
else
  echo "python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo broken)"
fi
echo "memory_mb=$(awk '/^MemTotal:/ {print int($2 / 1024)}' /proc/meminfo)"
echo "cores=$(nproc)"
# Of any interface but the loopback.
if awk '$6 != "lo" {found = 1} END {exit !found}' /proc/net/if_inet6 2>/dev/null; then echo "ipv6=yes"; else echo "ipv6=no"; fi
# Its own addresses, as those see it to which it would go by the default route. Nothing is sent.
source_of() { ip -o route get "$1" 2>/dev/null | sed -n 's/.* src \([^ ]*\).*/\1/p'; }
echo "address_v4=$(source_of 192.0.2.1)"
echo "address_v6=$(source_of 2001:db8::1)"
# The tighter of the two file systems that a deployment fills; one that is not there yet is its parent's.
free_mb() { df -Pk "$1" | awk 'NR == 2 {print int($4 / 1024)}'; }
for place in /var/lib/docker /var/lib /srv; do
  if [ -d "$place" ]; then free_mb "$place"; fi
done | sort -n | sed -n '1s/^/disk_free_mb=/p'
# Ansible lays files into the account's home.
echo "home=$HOME"
if [ ! -d "$HOME" ]; then
  echo "home_is=missing"
elif ! [ -w "$HOME" ]; then
  echo "home_is=read only"
elif [ "$(free_mb "$HOME")" = 0 ]; then
  echo "home_is=full"
else
  echo "home_is=writable"
fi
if [ -e /srv/modelhost/history.jsonl ]; then echo "serves=yes"; else echo "serves=no"; fi
if command -v docker >/dev/null; then echo "engine=yes"; else echo "engine=no"; fi
if [ "$(id -u)" = 0 ]; then as_root=""; else as_root="sudo -n"; fi
if said=$($as_root true 2>&1); then echo "root=yes"; else echo "root=no"; fi
echo "root_said=$(echo "$said" | tr '\n' ' ')"
# A listener in the host's own mount namespace is not our proxy, which lives in a container.
if command -v ss >/dev/null; then
  for port in "$@"; do
    $as_root ss -Hltnp "sport = :$port" 2>/dev/null | sed -n 's/.*"\([^"]*\)",pid=\([0-9]*\).*/\1 \2/p' | sort -u |
      while read -r name pid; do
        if [ "$($as_root readlink "/proc/$pid/ns/mnt")" = "$($as_root readlink /proc/1/ns/mnt)" ]; then
          echo "port_held=$port"
          echo "port_holder=$name (process $pid)"
        fi
      done
  done
fi
