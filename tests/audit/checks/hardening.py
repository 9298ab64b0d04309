"""What lynis thinks of the machine, bare and deployed."""

from readers import lynis
from row import Check, CheckError, Outcome
from scenery import Scenery

LEAST = 85
FILES = "usr/share/lynis etc/lynis usr/sbin/lynis"
# Lent and removed again: a package more would be part of what is judged.
RUN = "lynis audit system --quick --no-colors --no-log --report-file /tmp/lynis.dat >/dev/null 2>&1; cat /tmp/lynis.dat"


def look(scenery: Scenery) -> lynis.Report:
    """Run lynis on the machine as it is now."""
    scenery.attacker.lend(scenery.target, "lynis", FILES)
    try:
        return lynis.report(scenery.target.run(RUN))
    except ValueError as error:
        raise CheckError(str(error)) from error
    finally:
        scenery.target.run(f"cd / && rm -rf {FILES} /tmp/lynis.dat")


def measure(scenery: Scenery) -> Outcome:
    """Compare it with what it was before the deployment."""
    before, after = scenery.before, look(scenery)
    if before is None:
        raise CheckError("lynis has not looked at this machine before its deployment: leave --keep out")
    words = " -> ".join(f"{one.index}, {len(one.warnings)} warnings" for one in (before, after))
    notes = [f"lynis warns: {warning}" for warning in after.warnings]
    tests = dict.fromkeys(suggestion.split()[0] for suggestion in after.suggestions)
    notes.append(f"lynis has {len(after.suggestions)} suggestions left, by the tests {', '.join(tests)}")
    return Outcome(words, after.index >= LEAST and not after.warnings, notes)


CHECK = Check(
    "lynis",
    "lynis before and after the deployment",
    f"after: at least {LEAST}, 0 warnings",
    measure,
    reason="decision 087 has each suggestion with its points, and why it is not followed",
    unseen="what is this machine's: kernel settings, AppArmor, partitions, boot loader, swap, clock",
)
