# shellcheck shell=sh
# Run on the host by prove_closed. Prints "loaded" with what is another one each time that sshd reads its files: the sockets at
# which it listens where this connection came in, and its process; and "proven" with those that were seen to refuse. $1: their file.
# Where these differ, "banned_by" names what would count a try against this machine.
connection=${SSH_CONNECTION:-$(tr '\0' '\n' <"/proc/$PPID/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p')}
port=$(printf ':%04X' "${connection##* }")
sockets=$(awk -v port="$port" '$4 == "0A" && substr($2, length($2) - 4) == port {printf "%s ", $10}' /proc/net/tcp /proc/net/tcp6)
loaded="$sockets$(systemctl show --value --property MainPID ssh)"
proven=$(cat "$1" 2>/dev/null)
echo "loaded $loaded"
echo "proven $proven"
if [ "$loaded" != "$proven" ]; then
  for service in sshguard crowdsec denyhosts; do
    if systemctl is-active --quiet "$service" 2>/dev/null; then echo "banned_by $service"; fi
  done
  # Our own jail leaves root's refused login out (host_hardening).
  if systemctl is-active --quiet fail2ban 2>/dev/null &&
    ! fail2ban-client get sshd ignoreregex 2>/dev/null | grep -q 'ROOT LOGIN REFUSED'; then echo "banned_by fail2ban"; fi
fi
