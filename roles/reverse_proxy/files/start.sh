#!/bin/sh
# Runs nginx, and passes on to Docker what it logs, from files.
# Where nginx wrote to Docker's pipes itself, it would stand still with every request as soon as they are full: within
# seconds while the engine is stopped or upgraded, because then nobody reads them.
set -eu

most_bytes=8000000
: >/tmp/access.log
: >/tmp/error.log

pass_on() {
  while :; do
    tail --follow=name --lines=0 "$1" 2>/dev/null
    sleep 1
  done
}
pass_on /tmp/access.log &
pass_on /tmp/error.log >&2 &

# The files are in memory. What was not passed on by then is lost.
while sleep 2; do
  for log in /tmp/access.log /tmp/error.log; do
    if [ "$(stat --format %s "$log")" -gt "$most_bytes" ]; then : >"$log"; fi
  done
done &

exec nginx -c /etc/nginx/nginx.conf -g "daemon off;"
