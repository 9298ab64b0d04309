# shellcheck shell=sh
# Run on the host by its shell, as root. Arguments: the address of Docker's repository, and packages to look for.
# Prints name=value lines and changes nothing: an engine that does not run is not asked, for that would start it.
LC_ALL=C
export LC_ALL
repository=$1
shift
settings=/etc/docker/daemon.json
record=/etc/docker/modelhost.json
list() { tr '\n' ' ' | sed 's/ *$//'; }
when() { if "$@"; then echo yes; else echo no; fi; }
# dpkg knows a program by the path that its package has, which may be the other one of /usr/bin and /bin.
package_of() {
  program=$(readlink -f "$1")
  found=$(dpkg-query --search "$program" "${program#/usr}" 2>/dev/null | sed -n '1s/:.*//p')
  echo "${found:-unpackaged}"
}

# The engine, by the package that brought it. `docker` alone may be another program's.
if daemon=$(command -v dockerd); then
  engine=$(package_of "$daemon")
elif [ -e /snap/bin/docker ]; then
  engine=snap
elif [ "$(dpkg-query --show --showformat '${db:Status-Status}' podman-docker 2>/dev/null)" = installed ]; then
  engine=podman-docker
else
  engine=none
fi
echo "engine=$engine"
echo "containerd=$(if daemon=$(command -v containerd); then package_of "$daemon"; fi)"
echo "packages=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' | list)"
active=$(when systemctl is-active --quiet docker)
echo "active=$active"
echo "enabled=$(when systemctl is-enabled --quiet docker 2>/dev/null)"
managed=$(when test -e /etc/systemd/system/docker.service.d/modelhost.conf)
echo "managed=$managed"
echo "containerd_managed=$(when test -e /etc/systemd/system/containerd.service.d/modelhost.conf)"
# What it was started with, also where it is ours: its owner may have added to its unit. Of a proxy in its environment, or in
# the one that it will have, the names alone.
process=/proc/$(systemctl show --value --property MainPID docker 2>/dev/null)
of_the_daemon() { if [ "$active" = yes ]; then tr '\0' "$2" <"$process/$1"; fi; }
echo "flags=$(of_the_daemon cmdline ' ' 2>/dev/null | sed 's/^[^ ]* *//')"
echo "proxied=$({
  of_the_daemon environ '\n'
  sed -n 's/^ *Environment=//p' /etc/systemd/system/docker.service.d/*.conf | tr -d "\"'" | tr ' ' '\n'
} 2>/dev/null | sed -n 's/^\([Hh][Tt][Tt][Pp][Ss]\{0,1\}_[Pp][Rr][Oo][Xx][Yy]\)=..*/\1/p' | sort -u | list)"
echo "settings=$(base64 --wrap 0 $settings 2>/dev/null)"
echo "settings_link=$(when test -L $settings)"
echo "settings_owned=$(stat -c '%U %G %04a' $settings 2>/dev/null)"
echo "record=$(base64 --wrap 0 $record 2>/dev/null)"
# A source of somebody else's. The pin is known by its words; Docker's manual has the same names for source and key.
ours=$(when grep -qs 'Whoever holds this repository' /etc/apt/preferences.d/docker)
echo "repository=$(
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    if [ "$file" = /etc/apt/sources.list.d/docker.sources ] && [ "$ours" = yes ]; then continue; fi
    # After an upgrade of the distribution it may be there and switched off.
    if grep -qis '^enabled: *no' "$file"; then continue; fi
    if grep -v '^ *#' "$file" 2>/dev/null | grep -qF "${repository#*://}"; then
      echo "$file"
      break
    fi
  done
)"

ask() { timeout 20 docker "$@" 2>/dev/null; }
# Each port as PORT/PROTOCOL/CONTAINER, without those of the loopback; from lines of a name and Docker's words for its ports.
ports() {
  tr -d , | awk '{
    for (i = 2; i <= NF; i++) {
      if (split($i, part, "->") != 2 || part[1] ~ /^127[.]/ || part[1] ~ /^(\[::1\]|::1):/) continue
      sub(/.*:/, "", part[1])
      sub(/.*\//, "", part[2])
      if (split(part[1], range, "-") == 1) range[2] = range[1]
      for (port = range[1] + 0; port <= range[2] + 0; port++) print port "/" part[2] "/" $1
    }
  }' | sort -u | list
}
# Of an engine that somebody else has set up: what it can do, and what it carries.
if [ "$engine" = none ] || [ "$(when grep -qs '"packages": "ours"' $record)" = yes ]; then exit; fi
if [ "$managed" = yes ] && [ ! -e $record ]; then exit; fi
echo "version=$(dockerd --version 2>/dev/null | sed -n 's/^Docker version \([^ ,]*\).*/\1/p')"
if [ "$active" = no ]; then exit; fi
echo "compose=$(ask compose version --short)"
echo "buildx=$(ask buildx version | cut -d' ' -f2)"
ask info --format 'live_restore={{.LiveRestoreEnabled}}
swarm={{.Swarm.LocalNodeState}}'
echo "containers=$(ask ps --all --format '{{.Names}}' | grep -v '^modelhost-' | list)"
# What the firewall would close, as long as it is not there.
if [ ! -e /etc/modelhost/firewall.nft ]; then
  echo "published=$({
    ask ps --format '{{.Names}} {{.Ports}}' | grep -v '^modelhost-'
    ask service ls --format '{{.Name}} {{.Ports}}'
  } | ports)"
  echo "bridges=$(ask network ls --quiet --filter driver=bridge | while read -r network; do
    ask network inspect --format '{{index .Options "com.docker.network.bridge.name"}}' "$network" </dev/null
  done | grep . | list)"
fi
