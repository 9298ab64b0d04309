# shellcheck shell=sh
# Run on the host by its shell, as root. Arguments: the parts to take away. Packages stay, and so do values that a kernel has.
set -eu
guard() {
  if [ -x /usr/local/sbin/modelhost-guard ]; then /usr/local/sbin/modelhost-guard remove "$1"; fi
}
for part in "$@"; do
  case $part in
    ssh) guard ssh ;;
    firewall)
      systemctl disable --quiet --now modelhost-firewall.service 2>/dev/null || true
      systemctl stop modelhost-firewall-watch.service 2>/dev/null || true
      guard firewall
      rm -f /etc/systemd/system/modelhost-firewall.service /etc/systemd/system/modelhost-firewall-watch.service
      ;;
    updates) rm -f /etc/apt/apt.conf.d/52modelhost-upgrades ;;
    fail2ban)
      rm -f /etc/fail2ban/jail.d/modelhost.local
      systemctl try-restart fail2ban
      ;;
    journal)
      rm -f /etc/systemd/journald.conf.d/modelhost.conf
      systemctl restart systemd-journald
      ;;
    swap)
      systemctl disable --quiet --now swapfile.swap 2>/dev/null || true
      rm -f /swapfile /etc/systemd/system/swapfile.swap
      ;;
    sysctl) rm -f /etc/sysctl.d/90-modelhost-hardening.conf ;;
    core_dumps)
      rm -f /etc/systemd/coredump.conf.d/modelhost.conf /etc/systemd/system.conf.d/modelhost.conf
      # The last, because it tells whether this part is there.
      rm -f /etc/security/limits.d/modelhost.conf
      ;;
    modules) rm -f /etc/modprobe.d/modelhost.conf ;;
    prune)
      systemctl disable --quiet --now modelhost-prune.timer 2>/dev/null || true
      rm -f /etc/systemd/system/modelhost-prune.service /etc/systemd/system/modelhost-prune.timer
      ;;
  esac
done
if [ ! -e /etc/modelhost/ssh.conf ] && [ ! -e /etc/modelhost/firewall.nft ]; then
  rm -rf /etc/modelhost /usr/local/sbin/modelhost-guard
fi
systemctl daemon-reload
