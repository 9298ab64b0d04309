# shellcheck shell=sh
# Run on the host by its shell, as root; arguments: accounts. Prints what sshd makes of its files for each of them, and these files in
# the order in which sshd reads them (sshd_settings.py reads it). Changes nothing.
# sshd sorts the names of a folder by their bytes.
LC_ALL=C
export LC_ALL

# Where this connection comes from, and where it came in. sudo does not hand that on, but has it itself.
connection=${SSH_CONNECTION:-$(tr '\0' '\n' <"/proc/$PPID/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p')}
read -r client _ server port <<END
${connection:-127.0.0.1 0 127.0.0.1 22}
END

readable=yes
for user in "$@"; do
  if told=$(/usr/sbin/sshd -T -C "user=$user,host=$client,addr=$client,laddr=$server,lport=$port,rdomain=" 2>&1); then
    kind=effective
  else
    kind=problem readable=no
  fi
  # Not echo, nor sed with a name in it: both take a backslash for something else.
  printf '%s\n' "$told" | while IFS= read -r line; do printf '%s\n' "$kind $user $line"; done
  printf '%s\n' "groups $user $(id -Gn -- "$user" 2>/dev/null)"
done
# Files that include each other without end would be read without end; sshd has told that already.
if [ "$readable" = no ]; then exit 0; fi

# What it was started with comes before all files, and sshd -T knows nothing of it.
printf 'running %s\n' "$(tr '\0\n' '  ' 2>/dev/null <"/proc/$(cat /run/sshd.pid 2>/dev/null)/cmdline")"

# What a file includes stands in the middle of it.
read_file() (
  printf 'file %s' "$1" | tr '\n' ' '
  echo
  grep -anE '^[[:space:]]*[^#[:space:]]' -- "$1" | while IFS= read -r line; do
    printf 'line %s\n' "$line"
    case $line in *[Ii][Nn][Cc][Ll][Uu][Dd][Ee]*) ;; *) continue ;; esac
    # xargs reads quotes and backslashes as sshd does.
    printf '%s\n' "$line" | sed -nE 's/\r$//; s/^[0-9]+:[[:space:]]*"?include"?[[:space:]=]+//I; T; s/(^|[[:space:]])#.*//; p' |
      xargs -n 1 printf '%s\n' | while IFS= read -r pattern; do
      case $pattern in /*) ;; *) pattern=/etc/ssh/$pattern ;; esac
      # Names that match, which may have spaces, and no words.
      IFS=
      for file in $pattern; do
        if [ -f "$file" ]; then read_file "$file"; fi
      done
    done
  done
  echo "end"
)
read_file /etc/ssh/sshd_config
