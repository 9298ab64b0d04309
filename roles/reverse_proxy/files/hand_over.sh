# shellcheck shell=sh
# Run on the host by its shell, as root: has nginx run as the compose file says, and loses no request for it.
# Two may listen at once (SO_REUSEPORT). The new one is started beside the old one, which then asks its clients to come back by
# a new connection, stops listening, and ends what it has begun. What a killed run has left is ended first.
#   hand_over.sh COMPOSE_FILE SHARED LEAVE_SECONDS END_SECONDS
# SHARED is "shared" where the one that runs lets another one listen beside it.
set -eu
compose_file=$1 shared=$2 leave_seconds=$3 end_seconds=$4
proxy=modelhost-proxy leaving=modelhost-proxy-leaving

is_there() { docker inspect --format . "$1" >/dev/null 2>&1; }
health() { docker inspect --format '{{.State.Health.Status}}' "$1" 2>/dev/null; }
# An engine that was restarted knows it again only after its next look, within 10 s.
is_well() {
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do [ "$(health "$1")" = starting ] || break; sleep 1; done
  [ "$(health "$1")" = healthy ]
}
is_as_written() {
  is_well $proxy && [ "$(docker compose --file "$compose_file" config --hash nginx)" = "nginx $(label $proxy config-hash)" ]
}
label() { docker inspect --format "{{index .Config.Labels \"com.docker.compose.$2\"}}" "$1"; }

# Compose knows a container by its project, so that two of them have two.
start() {
  docker compose --project-name "$1" --file "$compose_file" up --detach --no-build --pull never --wait --wait-timeout 60 && return
  docker logs --tail 20 $proxy >&2 || true
  return 1
}
end() {
  # shellcheck disable=SC2015 # where it does not run any more, there is no one to be asked
  docker exec "$1" touch /tmp/leaving && sleep "$leave_seconds" || true
  docker stop --time "$end_seconds" "$1" >/dev/null
  docker rm "$1" >/dev/null
}
take_back() {
  docker rm --force $proxy >/dev/null 2>&1 || true
  docker rename $leaving $proxy
  docker start $proxy >/dev/null
}

if is_there $leaving; then
  if is_well $proxy; then end $leaving; else take_back; fi
fi
if is_as_written; then exit; fi

if ! is_there $proxy; then
  start modelhost-proxy
elif [ "$shared" = shared ] && is_well $proxy; then
  project=modelhost-proxy
  if [ "$(label $proxy project)" = $project ]; then project=modelhost-proxy-next; fi
  docker rename $proxy $leaving
  if ! start $project; then
    take_back
    echo "The nginx that was there goes on." >&2
    exit 1
  fi
  end $leaving
else
  echo "No other one can listen beside the nginx that is there: for a moment nothing is answered." >&2
  docker stop --time "$end_seconds" $proxy >/dev/null
  docker rm $proxy >/dev/null
  start modelhost-proxy
fi
