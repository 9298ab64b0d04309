# shellcheck shell=sh
# Run on the host by its shell, as root; arguments: accounts. Prints what sshd makes of its files for each of them, and these files in
# the order in which sshd reads them (sshd_settings.py reads it). Changes nothing.
# sshd sorts the names of a folder by their bytes.
LC_ALL=C
export LC_ALL

# Where this connection comes from, and where it came in. sudo does not hand that on, but has it itself.
connection=${SSH_CONNECTION:-$(tr '\0' '\n' <"/proc/$PPID/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p')}
users=$*
# shellcheck disable=SC2086 # four words
set -- ${connection:-127.0.0.1 0 127.0.0.1 22}
client=$1 server=$3 port=$4

for user in $users; do
  if told=$(/usr/sbin/sshd -T -C "user=$user,host=$client,addr=$client,laddr=$server,lport=$port" 2>&1); then
    echo "$told" | sed "s/^/effective $user /"
  else
    echo "$told" | sed "s/^/problem $user /"
  fi
  echo "groups $user $(id -Gn "$user" 2>/dev/null)"
done

# What a file includes stands in the middle of it.
read_file() (
  echo "file $1"
  grep -nE '^[[:space:]]*[^#[:space:]]' "$1" | while IFS= read -r line; do
    echo "line $line"
    case $line in *[Ii][Nn][Cc][Ll][Uu][Dd][Ee]*) ;; *) continue ;; esac
    patterns=$(echo "$line" | sed -nE 's/^[0-9]+:[[:space:]]*"?include"?[[:space:]=]+([^#]*).*/\1/Ip' | tr -d '"\r')
    for pattern in $patterns; do
      case $pattern in /*) ;; *) pattern=/etc/ssh/$pattern ;; esac
      for file in $pattern; do
        # As deep as sshd goes.
        if [ -e "$file" ] && [ "$2" -lt 16 ]; then read_file "$file" $(($2 + 1)); fi
      done
    done
  done
  echo "end"
)
read_file /etc/ssh/sshd_config 0
