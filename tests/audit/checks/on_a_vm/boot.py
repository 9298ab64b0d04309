"""A reboot: what comes back by itself."""

from row import Check, Outcome
from scenery import Scenery

RULES = "nft --stateless --terse list table inet modelhost"
UNITS = ["apparmor.service", "modelhost-firewall.service", "ssh.service", "fail2ban.service", "docker.service",
         "systemd-timesyncd.service", "swapfile.swap", "apt-daily-upgrade.timer", "modelhost-prune.timer"]  # fmt: skip
FAILED = "systemctl --failed --plain --no-legend"
# When the firewall was closed, and when the network began, on the clock of the boot.
MOMENTS = (
    "systemctl show --value --property ActiveEnterTimestampMonotonic modelhost-firewall; "
    "systemctl show --value --property ExecMainStartTimestampMonotonic systemd-networkd"
)


def measure(scenery: Scenery) -> Outcome:
    """Boot the machine anew, and wait until it answers."""
    target = scenery.target
    rules = target.run(RULES)
    seconds = target.reboot()
    # What starts after nginx and the app is not waited for by their answer.
    target.run("systemctl is-system-running --wait || true")
    problems = [f"failed: {line}" for line in target.run(FAILED).splitlines()]
    states = target.run(f"systemctl is-active {' '.join(UNITS)} || true").split()
    problems += [f"{unit} is {state}" for unit, state in zip(UNITS, states, strict=True) if state != "active"]
    if target.run(RULES) != rules:
        problems.append("the firewall's rules are others than before")
    closed, network = (int(moment) for moment in target.run(MOMENTS).split())
    if closed >= network:
        problems.append("the network was up before the firewall")
    return Outcome(
        f"answers after {seconds:.0f} s; firewall closed {(network - closed) / 1e6:.1f} s before the network began; "
        f"{len(problems)} problems",
        not problems,
        [*problems, f"Active again: {', '.join(UNITS)}.", "Seconds are those of an emulated machine, if it is one."],
    )


CHECK = Check(
    "reboot",
    "a reboot: the endpoint answers a client over HTTPS by itself, the same firewall is closed before the network "
    "begins, what protects the machine runs",
    "no problem",
    measure,
    unseen="a boot loader: QEMU hands the kernel over itself",
)
