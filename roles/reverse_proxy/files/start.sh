#!/bin/sh
# Runs nginx, and passes on to Docker what it logs, from files.
# Where nginx wrote to Docker's pipes itself, it would stand still with every request as soon as they are full: within
# seconds while the engine is stopped or upgraded, because then they are not read.
set -eu

most_bytes=8000000  # the file system that they are on has 20 MB
: >/var/log/nginx/access.log
: >/var/log/nginx/error.log

pass_on() {
  while :; do
    tail --follow=name --lines=0 "$1" 2>/dev/null
    sleep 1
  done
}
pass_on /var/log/nginx/access.log &
pass_on /var/log/nginx/error.log >&2 &

# They are in memory. What was not passed on by then is lost.
while sleep 2; do
  for log in /var/log/nginx/access.log /var/log/nginx/error.log; do
    if [ "$(stat --format %s "$log")" -gt "$most_bytes" ]; then : >"$log"; fi
  done
done &

exec nginx -c /etc/nginx/nginx.conf -g "daemon off;"
