"""Who may log in after a reboot."""

from row import Check, Outcome
from scenery import Scenery


def measure(scenery: Scenery) -> Outcome:
    """Try root and the account with the same key, which root had on the bare machine."""
    return judge(scenery.target.refusal("root"), scenery.target.refusal("deploy"))


def judge(root: str, deploy: str) -> Outcome:
    """What sshd said to each, which is nothing where it let them in."""
    refused = "Permission denied (publickey)" in root
    words = f"root {'is refused' if refused else 'is NOT refused'}, deploy {'is NOT' if deploy else 'is'} let in"
    return Outcome(words, refused and not deploy, [f"sshd says to root: {root}", *([deploy] if deploy else [])])


CHECK = Check(
    "login",
    "SSH after the reboot: root with the key that the bare machine let in, and the account deploy",
    "root is refused, and no password is asked for; deploy is let in",
    measure,
)
