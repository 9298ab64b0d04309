# shellcheck shell=sh
# Run on a new machine by first_login, over SSH. $1: the folder of its host keys; $2: make, or take.
# make: a key of the machine's own, beside the one in use; prints its public half. take: put it in that one's place.
set -eu
key=$1/ssh_host_ed25519_key
new=$1/.ssh_host_ed25519_key.own
case $2 in
make)
  # As long as both halves are there it is the one that was made before: a run may have been killed since.
  if ! [ -s "$new" ] || ! [ -s "$new.pub" ]; then
    rm -f "$new" "$new.pub"
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$new"
  fi
  cat "$new.pub"
  ;;
take)
  mv "$new.pub" "$key.pub"
  mv "$new" "$key"
  # Where systemd holds its socket, a reload ends sshd: it cannot bind that again. A restart leaves connections as they are.
  if systemctl is-active --quiet ssh.socket; then systemctl try-restart ssh; else systemctl try-reload-or-restart ssh; fi
  ;;
esac
