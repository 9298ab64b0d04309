"""Modules that are kept out of the kernel."""

from row import Check, CheckError, Outcome
from scenery import Scenery

# Each that is named: whether this kernel has it, and whether root gets it loaded.
TRY = """
sed -n 's/^install \\([^ ]*\\) .*/\\1/p' /etc/modprobe.d/modelhost.conf | while read -r module; do
  file=$(echo "$module" | tr _- '??').ko*
  [ -n "$(find /lib/modules/$(uname -r) -name "$file")" ] && there=yes || there=no
  modprobe "$module" 2>/dev/null && loaded=yes || loaded=no
  grep -q "^$(echo "$module" | tr - _) " /proc/modules && loaded=yes
  echo "$module $there $loaded"
done
"""


def measure(scenery: Scenery) -> Outcome:
    """Try to load each."""
    return judge(scenery.target.run(TRY))


def judge(printed: str) -> Outcome:
    """Lines of a module, whether the kernel has it, and whether it was loaded."""
    tried = [line.split() for line in printed.splitlines()]
    there = [module for module, has, _ in tried if has == "yes"]
    loaded = [module for module, _, is_loaded in tried if is_loaded == "yes"]
    if not there:
        raise CheckError(f"this kernel has none of {', '.join(module for module, *_ in tried)}")
    return Outcome(
        f"{len(loaded)} of {len(there)}",
        not loaded,
        [f"tried: {', '.join(there)}", *([f"loaded: {', '.join(loaded)}"] if loaded else [])],
    )


CHECK = Check("modules", "modules kept out by host_hardening that this kernel has and root gets loaded", "0", measure)
