# shellcheck shell=sh
# Run on the host by its shell, as root: gives the kernel the values of our file in /etc/sysctl.d that it does not have.
# Prints "set NAME", "absent NAME" or "refused NAME WHY" for each of these.
while IFS=' =' read -r name wanted; do
  case $name in '' | '#'*) continue ;; esac
  for file in /proc/sys/$(echo "$name" | tr . /); do
    if [ ! -e "$file" ]; then
      echo "absent $name"
    elif [ "$(cat "$file")" = "$wanted" ]; then
      : # as it is to be
    elif why=$({ echo "$wanted" >"$file"; } 2>&1); then
      echo "set $file"
    else
      echo "refused $name ${why##*: }"
    fi
  done
done </etc/sysctl.d/90-modelhost-hardening.conf
