# shellcheck shell=sh
# Run on the host by its shell, as root. Arguments: the address of Docker's repository, and packages to look for.
# Prints name=value lines and changes nothing.
LC_ALL=C
export LC_ALL
repository=$1
shift
list() { tr '\n' ' ' | sed 's/ *$//'; }
there() { if [ -e "$1" ]; then echo yes; else echo no; fi; }

# The engine, by the package that brought it. `docker` alone may be another program's.
if daemon=$(command -v dockerd); then
  # dpkg knows a program by the path that its package has, which may be the other one of /usr/bin and /bin.
  daemon=$(readlink -f "$daemon")
  engine=$(dpkg-query --search "$daemon" "${daemon#/usr}" 2>/dev/null | sed -n '1s/:.*//p')
  engine=${engine:-unpackaged}
elif [ -e /snap/bin/docker ]; then
  engine=snap
elif [ "$(dpkg-query --show --showformat '${db:Status-Status}' podman-docker 2>/dev/null)" = installed ]; then
  engine=podman-docker
else
  engine=none
fi
echo "engine=$engine"
echo "packages=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' | list)"
if systemctl is-active --quiet docker && systemctl is-enabled --quiet docker; then echo "runs=yes"; else echo "runs=no"; fi
echo "managed=$(there /etc/systemd/system/docker.service.d/modelhost.conf)"
echo "containerd_managed=$(there /etc/systemd/system/containerd.service.d/modelhost.conf)"
echo "settings=$(base64 --wrap 0 /etc/docker/daemon.json 2>/dev/null)"
echo "settings_mode=$(stat -c %04a /etc/docker/daemon.json 2>/dev/null)"
echo "given=$(base64 --wrap 0 /etc/modelhost/docker.json 2>/dev/null)"
# A source of somebody else's. The pin is this role's, whose own source has the name that Docker's manual uses too.
echo "repository=$(
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    if [ "$file" = /etc/apt/sources.list.d/docker.sources ] && [ -e /etc/apt/preferences.d/docker ]; then continue; fi
    if grep -v '^ *#' "$file" 2>/dev/null | grep -qF "${repository#*://}"; then
      echo "$file"
      break
    fi
  done
)"

# Of an engine that somebody else has set up: what it can do, and what it carries.
if [ "$engine" = none ] || [ -e /etc/systemd/system/docker.service.d/modelhost.conf ]; then exit; fi
echo "version=$(docker version --format '{{.Server.Version}}' 2>/dev/null)"
echo "compose=$(docker compose version --short 2>/dev/null)"
echo "buildx=$(docker buildx version 2>/dev/null | cut -d' ' -f2)"
echo "live_restore=$(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null)"
echo "swarm=$(docker info --format '{{.Swarm.LocalNodeState}}' 2>/dev/null)"
echo "containers=$(docker ps --all --format '{{.Names}}' 2>/dev/null | grep -v '^modelhost-' | list)"
# Each port as PORT/PROTOCOL/CONTAINER, without those of the loopback.
echo "published=$(
  docker ps --format '{{.Names}} {{.Ports}}' 2>/dev/null | grep -v '^modelhost-' | tr -d , | awk '{
    for (i = 2; i <= NF; i++) {
      if (split($i, part, "->") != 2 || part[1] ~ /^127[.]/ || part[1] ~ /^\[::1\]/) continue
      sub(/.*:/, "", part[1])
      sub(/.*\//, "", part[2])
      if (split(part[1], range, "-") == 1) range[2] = range[1]
      for (port = range[1] + 0; port <= range[2] + 0; port++) print port "/" part[2] "/" $1
    }
  }' | sort -u | list
)"
