"""Why an account may not become root, in words; what sudo says is read in the locale C."""

from __future__ import annotations

import re

# The first that is found counts.
REASONS = [
    (
        r"sudo:? (command )?not found|sudo: No such file",
        "{user} is not root on {address}, and there is no sudo. Connect as root (ansible_user: root), or install it "
        "there as root: apt-get install sudo",
    ),
    (
        r"Incorrect \w+ password|incorrect password attempt|Sorry, try again",
        "The password for sudo that was given is not the one of {user} on {address}",
    ),
    (
        r"Maximum \d+ incorrect authentication attempts",
        "The password for sudo that was given is not the one of {user} on {address}, or Ansible has not seen the "
        "question for it: sudo is sudo-rs there, which asks in other words. Ubuntu has the other one too: "
        "ansible_become_exe: sudo.ws",
    ),
    (
        r"must have a tty",
        "sudo on {address} wants a terminal, which Ansible does not have. As root there, by visudo -f "
        "/etc/sudoers.d/{user}: Defaults:{user} !requiretty",
    ),
    (
        r"not in the sudoers|not allowed to|may not run sudo|I'm afraid I can't do that",
        "{user} may not become root on {address} by sudo. As root there: usermod --append --groups sudo {user}; or "
        "connect as root (ansible_user: root)",
    ),
    (
        r"password is required|Missing \w+ password|a terminal is required|interactive authentication is required",
        "{user} needs a password for sudo on {address}, and none was given. Add --ask-become-pass to the command, or "
        "have ansible_become_password in a file that ansible-vault has encrypted. The first run needs it, later ones "
        "do not",
    ),
    (
        r"(?i)no answer within|timeout",
        "sudo on {address} does not answer {user}: it may wait for a name service, or for a device in the user's "
        "hand. Ubuntu 26.04's own, sudo-rs, asks for a password in words that Ansible does not know: "
        "ansible_become_exe: sudo.ws names the other one. It said: {said}",
    ),
    (r"", "{user} cannot become root on {address} by sudo: {said}"),
]
# A name of its own that the machine cannot look up is no reason.
NOISE = re.compile(
    r"sudo: unable to resolve host .*?: (Name or service not known|Temporary failure in name resolution)"
)


def why_not_root(said: str, user: str, address: str) -> str:
    """The words for what sudo or Ansible said."""
    said = NOISE.sub("", said).strip()
    words = next(words for pattern, words in REASONS if re.search(pattern, said))
    return words.format(user=user, address=address, said=said.splitlines()[-1] if said else "nothing")
