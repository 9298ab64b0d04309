#!/bin/sh
# Make sure that a Docker engine answers: the one that is there, or else Debian's own, installed and started.
# Exit code 0 means that `docker info` works; 1 that it does not, with the commands to type.
# engine.sh stop: end a daemon that this script has started without an init system, unless containers need it.
set -eu

# Where a daemon of our own is remembered.
mark=/var/run/modelhost-dockerd

say() { printf 'engine: %s\n' "$*"; }
answers() { docker info >/dev/null 2>&1; }
has() { command -v "$1" >/dev/null 2>&1; }

give_up() {
  say "$1"
  cat <<'TEXT'
engine: type these yourself, then start again:
  sudo apt-get update && sudo apt-get install --no-install-recommends docker.io mmdebstrap openssh-client
  sudo systemctl start docker
  sudo usermod -aG docker "$USER" && newgrp docker
TEXT
  exit 1
}

if [ "$(id -u)" = 0 ]; then
  root() { "$@"; }
elif has sudo && sudo -n true 2>/dev/null; then
  root() { sudo -n "$@"; }
elif has sudo && [ -t 0 ]; then
  say "root's rights are needed to install packages; sudo asks for your password"
  root() { sudo "$@"; }
else
  root() { return 126; }
fi

install() {
  has apt-get || give_up "this machine has no apt-get, so '$*' cannot be installed here"
  say "installing $* from the distribution's archive"
  root env DEBIAN_FRONTEND=noninteractive apt-get -qq update || give_up "root's rights are needed to install $*"
  root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "$@" >/dev/null \
    || give_up "the packages could not be installed"
}

start() {
  if [ -d /run/systemd/system ]; then
    root systemctl start docker
    return
  fi
  # No init system: the daemon becomes a process of its own, which outlives this script.
  say "starting dockerd (its log: /var/log/modelhost-dockerd.log)"
  root sh -c "setsid dockerd >>/var/log/modelhost-dockerd.log 2>&1 </dev/null & echo \$! >$mark"
}

stop() {
  [ -s "$mark" ] && answers || return 0
  if [ -n "$(docker ps --quiet)" ]; then
    say "leaving the engine on: containers are running"
    return 0
  fi
  daemon=$(cat "$mark")
  root kill "$daemon"
  while root kill -0 "$daemon" 2>/dev/null; do sleep 0.2; done
  root rm -f "$mark" /var/log/modelhost-dockerd.log
  say "stopped the Docker engine that was started for this"
}

if [ "${1:-}" = stop ]; then
  stop
  exit 0
fi

missing=""
has ssh || missing="$missing openssh-client"
has curl || missing="$missing curl"
if ! answers && ! has dockerd; then missing="$missing docker.io iptables"; fi
# shellcheck disable=SC2086 # the list is meant to be split
[ -z "$missing" ] || install $missing

if answers; then
  say "using the Docker engine that answers ($(docker version --format '{{.Server.Version}}'))"
  exit 0
fi
start
tries=0
until answers; do
  tries=$((tries + 1))
  if [ "$tries" -gt 60 ]; then
    tail -n 5 /var/log/modelhost-dockerd.log 2>/dev/null || true
    give_up "Docker was started but did not answer within 30 seconds"
  fi
  sleep 0.5
done
say "started the Docker engine $(docker version --format '{{.Server.Version}}')"
