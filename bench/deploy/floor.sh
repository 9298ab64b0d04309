#!/bin/bash
# The floor that bench/deploy compares with: what a person would type on the machine, with the files already there.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

apt-get -qq update
apt-get -qq install --no-install-recommends docker.io docker-cli docker-compose docker-buildx mmdebstrap debian-archive-keyring \
  nftables fail2ban python3-systemd unattended-upgrades >/dev/null
mmdebstrap --quiet --variant=minbase trixie - | docker import - modelhost-base:trixie-1 >/dev/null

proxy=$(sed -n 's/^ *image: //p' /srv/modelhost/proxy/compose.yml)
app=$(sed -n 's/^ *image: //p' /srv/modelhost/releases/*/compose.yml)
docker build --quiet --network host --build-arg BASE=modelhost-base:trixie-1 --tag "$proxy" - >/dev/null <<'DOCKERFILE'
ARG BASE
FROM ${BASE}
RUN apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends nginx-light libnginx-mod-http-js openssl >/dev/null \
 && rm -rf /var/lib/apt/lists/* /etc/nginx/* /var/log/nginx
USER 10002:10002
CMD ["nginx", "-c", "/etc/nginx/nginx.conf", "-g", "daemon off;"]
DOCKERFILE
secret=()
if [ -f /srv/modelhost/build/ca.crt ]; then secret=(--secret "id=ca,src=/srv/modelhost/build/ca.crt"); fi
docker build --quiet --network host "${secret[@]}" --build-arg BASE=modelhost-base:trixie-1 --tag "$app" - < /srv/modelhost/build/app.tar >/dev/null

sysctl -qw net.ipv4.ip_unprivileged_port_start=80
docker compose --project-directory /srv/modelhost/proxy up --detach --wait --quiet-pull
# Its socket goes into a folder that came with the files.
RELEASE=$(basename /srv/modelhost/releases/*)
export COLOUR=blue RELEASE
docker compose --file /srv/modelhost/releases/*/compose.yml up --detach --wait --quiet-pull
