"""Kernel settings: what is written is what the kernel has."""

from readers import kernel
from row import Check, CheckError, Outcome
from scenery import Scenery

FILE = "/etc/sysctl.d/90-modelhost-hardening.conf"
# Some files can only be written to.
FOUND = "cd /proc/sys && grep --recursive --no-messages '' dev fs kernel net vm || true"
LEAST = 40


def measure(scenery: Scenery) -> Outcome:
    """Compare each, on every interface that is there after the boot."""
    run = scenery.target.run
    compared, problems = kernel.differing(run(f"cat {FILE}"), kernel.settings(run(FOUND)))
    if compared < LEAST:
        raise CheckError(f"{FILE} names only {compared} settings of this kernel")
    return Outcome(f"{compared - len(problems)} of {compared}", not problems, problems)


CHECK = Check(
    "kernel",
    "kernel settings of host_hardening that are in force after the reboot, on every interface, containers' among them",
    "all",
    measure,
)
