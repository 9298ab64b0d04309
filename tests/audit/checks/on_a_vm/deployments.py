"""The first deployment, and a second one after a reboot."""

from row import Check, Outcome
from scenery import Scenery


def measure(scenery: Scenery) -> Outcome:
    """Run site.yml again; the first time was when the machine was made."""
    again = scenery.target.must_play("site.yml")
    return Outcome(
        f"first {scenery.first_seconds:.0f} s; again {again.seconds:.0f} s, changed={again.changes}",
        again.changes == 0,
        [f"QEMU ran the machine by {scenery.target.accelerator}; tcg is software emulation, many times slower."],
    )


CHECK = Check(
    "site.yml",
    "site.yml on the bare machine with 1 GB of memory and 2 cores, and again after the reboot",
    "succeeds; the second time changed=0",
    measure,
)
