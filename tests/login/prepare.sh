# shellcheck shell=bash
# Run in a machine before its sshd starts, with what a test adds behind it.
echo "127.0.1.1 $(hostname)" >>/etc/hosts
mkdir -p /etc/ssh/sshd_config.d /etc/sudoers.d
rm -f /etc/ssh/sshd_config.d/* /etc/sudoers.d/*
# Tests log in often, at once, and in vain; the one of these limits sets them.
printf 'PerSourcePenalties no\nMaxStartups 200\n' >/etc/ssh/sshd_config.d/90-test.conf

let_in() {
  home=$(getent passwd "$1" | cut -d: -f6)
  mkdir -p "$home/.ssh"
  chmod 0700 "$home/.ssh"
  cat /test/key.pub >>"$home/.ssh/authorized_keys"
  chown -R "$1:" "$home/.ssh"
}

# account NAME [SHELL]: one that has the key, the password "secret", and no right to become root.
account() {
  useradd --create-home --shell "${2:-/bin/bash}" "$1" 2>/dev/null
  echo "$1:secret" | chpasswd
  let_in "$1"
}

# sudoer NAME [TAG]: one that becomes root by sudo, with its password unless the tag says otherwise.
sudoer() {
  account "$1"
  echo "$1 ALL=(ALL:ALL) ${2:-}ALL" >"/etc/sudoers.d/$1"
}
