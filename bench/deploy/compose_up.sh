#!/bin/bash
# Run as root on a host that site.yml has deployed to: remove both containers, start them with compose, and print the
# milliseconds until a prediction is answered. Images and release stay as they are.
set -euo pipefail
live=$(basename "$(readlink /srv/modelhost/run/active)") # <colour>-<release>
export COLOUR=${live%%-*} RELEASE=${live#*-}

answers() {
  exec 3<>/dev/tcp/127.0.0.1/80 &&
    printf 'POST /models/colours/predict HTTP/1.0\r\nContent-Length: 11\r\n\r\n{"index":1}' >&3 &&
    [[ $(head -1 <&3) == *" 200 "* ]]
} 2>/dev/null

docker rm --force modelhost-proxy "modelhost-$COLOUR" >/dev/null
begun=$(date +%s%N)
for file in /srv/modelhost/proxy/compose.yml "/srv/modelhost/releases/$RELEASE/compose.yml"; do
  docker compose --progress quiet --file "$file" up --detach &
done
until answers; do sleep 0.02; done
echo "$((($(date +%s%N) - begun) / 1000000))"
wait
