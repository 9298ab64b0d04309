# shellcheck shell=sh
# Run on the host by its shell, as root. Arguments: packages to look for. Prints name=value lines and changes nothing.
list() { tr '\n' ' ' | sed 's/ *$//'; }

# What systemd says of all the units that are asked for below, by one question: of each " name active enabled begun", in a line.
clocks="chrony.service ntpsec.service ntp.service openntpd.service systemd-timesyncd.service"
kept="modelhost-firewall.service modelhost-firewall-watch.service fail2ban.service apt-daily.timer apt-daily-upgrade.timer modelhost-prune.timer"
asked="firewalld.service $clocks systemd-journald.service $kept"
# shellcheck disable=SC2086  # names, each a word
units=$(TZ=UTC systemctl show --property ActiveState,UnitFileState,ActiveEnterTimestamp $asked 2>/dev/null | awk -v asked="$asked" '
  BEGIN {RS = ""; FS = "\n"; split(asked, name, " ")}
  {
    split("", value)
    for (i = 1; i <= NF; i++) {at = index($i, "="); value[substr($i, 1, at - 1)] = substr($i, at + 1)}
    active = value["ActiveState"] ~ /^(active|reloading|refreshing)$/ ? "active" : "-"
    enabled = value["UnitFileState"] ~ /^(enabled|enabled-runtime|static|alias|indirect|generated)$/ ? "enabled" : "-"
    print " " name[NR], active, enabled, value["ActiveEnterTimestamp"]
  }')
active() { case $units in *" $1 active "*) true ;; *) false ;; esac; }
enabled() { case $units in *" $1 active enabled "* | *" $1 - enabled "*) true ;; *) false ;; esac; }

if systemd-detect-virt --quiet --container; then echo "container=yes"; else echo "container=no"; fi
echo "memory_mb=$(awk '/^MemTotal:/ {print int($2 / 1024)}' /proc/meminfo)"
echo "swap_mb=$(awk 'NR > 1 {sum += $3} END {print int(sum / 1024)}' /proc/swaps)"
echo "disk_free_mb=$(df -Pk / | awk 'NR == 2 {print int($4 / 1024)}')"
echo "packages=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' | list)"

if [ -x /usr/sbin/sshd ]; then echo "sshd=yes"; else echo "sshd=no"; fi
# All ports that sshd is set to, and the one that this connection came in by. sudo does not hand that on, but has it itself.
connection=${SSH_CONNECTION:-$(tr '\0' '\n' <"/proc/$PPID/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p')}
echo "ssh_ports=$({ /usr/sbin/sshd -T 2>/dev/null | sed -n 's/^port //p'; echo "${connection##* }"; } | grep . | sort -nu | list)"
echo "ssh_kex=$(ssh -Q kex 2>/dev/null | list)"
echo "ssh_ciphers=$(ssh -Q cipher 2>/dev/null | list)"
echo "ssh_macs=$(ssh -Q mac 2>/dev/null | list)"
echo "ssh_host_keys=$(ssh -Q key-sig 2>/dev/null | list)"
echo "ssh_rsa_bits=$(ssh-keygen -lf /etc/ssh/ssh_host_rsa_key.pub 2>/dev/null | cut -d' ' -f1)"

# Whether the kernel counts connections (nft_connlimit); nothing where there is no nft yet.
if command -v nft >/dev/null; then
  counting='table inet modelhost_look { chain input { type filter hook input priority 0; ct count over 9 reject; }; }'
  if echo "$counting" | nft --check --file - 2>/dev/null; then echo "connlimit=yes"; else echo "connlimit=no"; fi
else
  echo "connlimit="
fi

for part in ssh firewall; do
  if [ -x /usr/local/sbin/modelhost-guard ] && /usr/local/sbin/modelhost-guard check "$part"; then
    echo "${part}_kept=yes"
  else
    echo "${part}_kept=no"
  fi
done

# Another firewall that someone has switched on.
if grep -qs '^ENABLED=yes' /etc/ufw/ufw.conf && command -v ufw >/dev/null; then
  echo "other_firewall=ufw"
elif active firewalld.service; then
  echo "other_firewall=firewalld"
else
  echo "other_firewall="
fi

# What keeps the time, if anything does.
time=""
for service in $clocks; do
  if active "$service"; then time=${service%.service}; fi
done
echo "time=$time"

# A service whose settings are newer than itself, because a run was cut off between the two.
stale() {
  begun=$(date --date "$(echo "$units" | sed -n "s/^ $1 active [^ ]* //p")" +%s 2>/dev/null)
  active "$1" && [ "$(stat -c %Y "$2" 2>/dev/null || echo 0)" -le "${begun:-0}" ] || echo "${1%.service}"
}
echo "stale=$({ stale fail2ban.service /etc/fail2ban/jail.d/modelhost.local; stale systemd-journald.service /etc/systemd/journald.conf.d/modelhost.conf; } | list)"
echo "off=$(for unit in $kept; do
  active "$unit" && enabled "$unit" || echo "$unit"
done | list)"

# The kernel's modules, as modprobe's files write them.
echo "modules=$(cut -d' ' -f1 /proc/modules 2>/dev/null | tr _ - | list)"

# Kernel settings that are otherwise than our file has them; a kernel may lack one. awk reads a file of /proc in one piece, which
# the shell's own read does not.
kernel_settings() {
  awk -F ' *= *' '!/^#/ && NF == 2 {gsub("[.]", "/", $1); print $1, $2}' /etc/sysctl.d/90-modelhost-hardening.conf 2>/dev/null |
    while read -r name wanted; do
      for file in /proc/sys/$name; do echo "$file $wanted"; done
    done
}
echo "sysctl_differs=$(kernel_settings | awk '{if ((getline value <$1) > 0 && value != $2) print $1; close($1)}' | list)"

# The parts that have left something on this host.
echo "there=$({
  [ ! -e /etc/modelhost/ssh.conf ] || echo ssh
  [ ! -e /etc/modelhost/firewall.nft ] || echo firewall
  [ ! -e /etc/apt/apt.conf.d/52modelhost-upgrades ] || echo updates
  [ ! -e /etc/fail2ban/jail.d/modelhost.local ] || echo fail2ban
  [ ! -e /etc/systemd/journald.conf.d/modelhost.conf ] || echo journal
  [ ! -e /etc/systemd/system/swapfile.swap ] || echo swap
  [ ! -e /etc/sysctl.d/90-modelhost-hardening.conf ] || echo sysctl
  [ ! -e /etc/security/limits.d/modelhost.conf ] || echo core_dumps
  [ ! -e /etc/modprobe.d/modelhost.conf ] || echo modules
  [ ! -e /etc/systemd/system/modelhost-prune.timer ] || echo prune
} | list)"
