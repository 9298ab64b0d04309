"""AppArmor, by what the kernel says of each process."""

from readers import kernel
from row import Check, CheckError, Outcome
from scenery import Scenery

PROFILE = "docker-default (enforce)"
PROCESSES = """
for container in $(docker ps --format '{{.Names}}'); do
  for process in $(docker top "$container" -eo pid | tail -n +2); do
    echo "$container $process $(cat /proc/$process/attr/current)"
  done
done
"""


def measure(scenery: Scenery) -> Outcome:
    """Ask the kernel which profile confines each process of each container.

    Twice: a health check that begins or ends while it is looked at has none.
    """
    before, after = (scenery.target.run(PROCESSES).splitlines() for _ in range(2))
    count, problems = kernel.unconfined("\n".join(line for line in after if line in before), PROFILE)
    if not count:
        raise CheckError("no container has a process")
    return Outcome(f"{count - len(problems)} of {count}", not problems, problems)


CHECK = Check(
    "apparmor", f"processes of nginx's and the app's containers that the kernel confines by `{PROFILE}`", "all", measure
)
