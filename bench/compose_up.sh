#!/bin/bash
# On a host that site.yml has deployed to: remove both containers, start them with compose, and tell after how many seconds
# a prediction is answered. The images and the release stay as they are.
set -euo pipefail
live=$(basename "$(readlink /srv/modelhost/run/active)") # <colour>-<release>
export COLOUR=${live%%-*} RELEASE=${live#*-}
docker rm --force modelhost-proxy "modelhost-$COLOUR" >/dev/null
begun=$(date +%s%N)
docker compose --progress quiet --file /srv/modelhost/proxy/compose.yml up --detach &
docker compose --progress quiet --file "/srv/modelhost/releases/$RELEASE/compose.yml" up --detach &
until [[ $(printf 'POST / HTTP/1.0\r\nContent-Length: 10\r\n\r\n{"index":1}' >/dev/null; exec 3<>/dev/tcp/127.0.0.1/80 2>/dev/null &&
  printf 'POST / HTTP/1.0\r\nContent-Length: 11\r\n\r\n{"index":1}' >&3 && head -1 <&3) == *" 200 "* ]]; do
  sleep 0.02
done
echo "$((($(date +%s%N) - begun) / 1000000))"
wait
