"""What ssh and hosts say where a login does not work, and the words for it: what happened, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Symptom:
    """What is said, as a regular expression, and the words for it, with its groups and the fields of login_problems."""

    said: str
    words: str
    of_account: bool = False


# Between this machine and a bastion, or behind it. Of a list, the first one that is found counts.
BEHIND_BASTION = [
    Symptom(
        r"administratively prohibited",
        "The bastion {jump} lets you in, and leads on to no other host (AllowTcpForwarding or PermitOpen in its "
        "sshd_config; where the bastion is a host of modelhost itself: host_hardening_ssh_port_forwarding: true)",
    ),
    Symptom(
        r"open failed: connect failed: (?P<reason>.+)",
        "The bastion {jump} lets you in, and does not reach {address} on port {port}: {reason}. Is the machine on, is "
        "its address the one that the bastion knows (see {where}), and does its firewall let the bastion in?",
    ),
    Symptom(
        r"Host key verification failed",
        "The bastion {jump} is not in your known_hosts, and options of ansible.cfg do not reach as far as there. Log "
        "in to it once and compare the key's fingerprint, or write StrictHostKeyChecking accept-new for it in "
        "~/.ssh/config",
    ),
    Symptom(
        r"",
        "There is no way to {address}, because the bastion {jump} does not let you in. Try it alone: ssh {jump}. "
        "{ssh_said}",
    ),
]
NO_LOGIN = [
    Symptom(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED"
        r"(?s:.*Offending \S+ key in (?P<known_hosts>\S+):\d+)?(?s:.*Host key for (?P<target>\S+) has)?",
        "{address} shows another host key than the one it had before. If you rebuilt or replaced this machine, "
        "forget its old key and start again:\n"
        "  ssh-keygen -f {known_hosts} -R {target}\n"
        "If you did not, someone may stand between you and the machine: compare the key's fingerprint in your "
        "provider's console before you go on.",
    ),
    Symptom(
        r"Host key verification failed",
        "{address} is not in your known_hosts, and ssh is set to refuse unknown hosts. Log in once and compare "
        "the key's fingerprint (ssh -p {port} {user}@{host}), or add to ssh_args in ansible.cfg: "
        "-o StrictHostKeyChecking=accept-new. {ssh_said}",
    ),
    Symptom(
        r"Could not resolve hostname (?P<name>\[.+\]):",
        "{name} is an address in brackets, which ssh takes for a name. Write it without them in {where}",
    ),
    Symptom(
        r"Could not resolve hostname (?P<name>\S+): Temporary failure",
        "This machine cannot look up {name}, because no name server answers it: is it on the network? {ssh_said}",
    ),
    Symptom(
        r"Could not resolve hostname (?P<name>\S+):",
        "{name} is no name that this machine knows. Write the machine's address in {where}, for example: "
        "ansible_host: 203.0.113.10; or make an entry for {name} with a HostName in ~/.ssh/config. {ssh_said}",
    ),
    Symptom(
        r"connect to host (?P<name>\S+) port \d+: (?P<reason>No route to host|Network is unreachable|Host is down)",
        "There is no way from this machine to {address}: {reason}. Is the machine on, is ansible_host right (see "
        "{where}), and is a VPN needed? An address of IPv6 needs IPv6 here too; otherwise go by a bastion that has "
        "it, ansible_ssh_common_args: -J you@bastion",
    ),
    Symptom(
        r"Connection refused",
        "{address} does not answer SSH on port {port}: the machine refuses the connection, so it is on, and nothing "
        "listens there. Does sshd run, and is this its port? Another one is named in {file}, for example: "
        "ansible_port: 2222",
    ),
    Symptom(
        r"timed out during banner exchange",
        "{address} does not answer SSH on port {port}: the connection stands, and no greeting of sshd comes. The "
        "machine is very busy, or something else listens there",
    ),
    Symptom(
        r"timed out",
        "{address} does not answer SSH on port {port}: nothing comes back. Is the machine on, is ansible_host right "
        "(see {where}), and do its firewall and its provider's let you in from here?",
    ),
    Symptom(
        r"no matching key exchange method found. Their offer: (?P<offer>\S+)",
        "This machine's ssh is too old for {address}: they have no key exchange in common (it offers {offer}). Deploy "
        "once from a machine that gets in, with what this one knows (ssh -Q kex) named in {variables}: "
        "host_hardening_ssh_additional_key_exchanges: [curve25519-sha256]; or install OpenSSH 9.0 or newer here",
    ),
    Symptom(
        r"no matching (?P<what>[\w ]+) found. Their offer: (?P<offer>\S+)",
        "This machine's ssh and {address} have no {what} in common (it offers {offer}). Which ones yours offers is "
        "set in ~/.ssh/config or ansible_ssh_common_args, or by its age (ssh -V)",
    ),
    Symptom(
        r"banner line \d+: Not allowed at this time",
        "{address} lets no one in from this machine's address at the moment: logins from there have failed too often "
        "(PerSourcePenalties, from OpenSSH 9.8 on), or too many are under way at once (MaxStartups). Wait a minute, "
        "ten at most, without trying in between, and type the same again. Behind a bastion or a shared address, "
        "others may have failed",
    ),
    Symptom(
        r"banner line contains invalid characters|Bad remote protocol version|banner line \d+: (?P<line>(?!SSH-).+)",
        "What answers on port {port} of {address} is not sshd. Its port is named in {file}, for example: "
        "ansible_port: 2222. {ssh_said}",
    ),
    Symptom(
        r"kex_exchange_identification: |Connection (closed|reset) by \S+ port \d+",
        "{address} closes connections on port {port} before anyone has logged in. That is so for a while where logins "
        "from here failed too often (fail2ban, PerSourcePenalties) or too many are under way at once (MaxStartups): "
        "wait ten minutes, and type the same again. If it stays so, sshd's log says why: journalctl -u ssh, in your "
        "provider's console. {ssh_said}",
    ),
    Symptom(
        r"Bad configuration option|Bad owner or permissions|extra arguments at end of line|unsupported option",
        "ssh does not take its own configuration on this machine (~/.ssh/config, ssh_args and "
        "ansible_ssh_common_args). {ssh_said}",
    ),
]
# After that: the host has looked at the account.
REFUSED = [
    Symptom(
        r"(?i)your account has expired",
        "The account {user} on {address} has expired. In your provider's console, as root: chage --expiredate -1 "
        "{user}; or name another account in {file}, for example: ansible_user: root",
        of_account=True,
    ),
    Symptom(
        r"(?i)password change required|password has expired|required to change your password",
        "{user} has to change its password on {address} before it may do anything: ssh -t -p {port} {user}@{host}, "
        "once",
        of_account=True,
    ),
    Symptom(
        r"(?i)system is (booting up|going down)|unprivileged users are not permitted to log in",
        "{address} is starting or shutting down, and lets no one but root in meanwhile. Wait a minute, and type the "
        "same again",
    ),
    Symptom(
        r"Too many authentication failures",
        "{address} hung up on {user}, because your agent offered more keys than it will look at (six, by default). "
        "Name the right one in {file}, and no other is offered: ansible_ssh_private_key_file: ~/.ssh/id_ed25519",
        of_account=True,
    ),
]
# The host let the account in, and something else ran than what was asked.
OTHER_COMMAND = [
    Symptom(
        r"[Pp]lease log ?in as the user \"?(?P<other>[\w.-]+)\"?",
        "{address} has another account for you than {user}: {other}. Write it in {file}: ansible_user: {other}",
        of_account=True,
    ),
    *REFUSED,
    Symptom(
        r"This account is (currently )?not available|^\s*\Z",
        "{user} gets in at {address}, and may run nothing there: its shell is nologin or false. As root there: "
        "usermod --shell /bin/bash {user}; or name another account in {file}, for example: ansible_user: root",
        of_account=True,
    ),
    Symptom(
        r"(?i)not recognized as|CommandNotFoundException|bad command name|invalid (input|command)|unknown command"
        r"|syntax error|not found",
        "{address} has no shell that modelhost could use, and needs Debian or Ubuntu: Windows, a router or another "
        "device answers there. Is ansible_host right (see {where})? {host_said}",
    ),
    Symptom(
        r"",
        "{user} gets in at {address}, and something else runs there than what was asked for: a command= before your "
        "key in its authorized_keys, or a ForceCommand in sshd_config. Name another account in {file}, for example: "
        "ansible_user: admin. {host_said}",
        of_account=True,
    ),
]
