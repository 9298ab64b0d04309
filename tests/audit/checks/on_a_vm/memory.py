"""What a machine with 1 GB holds in memory when nobody asks anything."""

import time

from readers import kernel
from row import Check, CheckError, Outcome
from scenery import Scenery

IDLE_SECONDS = 60
MOST = 0.5
CONTAINERS = "docker stats --no-stream --format '{{.Name}} {{.MemUsage}}'"


def measure(scenery: Scenery) -> Outcome:
    """Leave it alone, and look."""
    time.sleep(IDLE_SECONDS)
    run = scenery.target.run
    try:
        memory = kernel.memory_mb(run("cat /proc/meminfo"))
    except ValueError as error:
        raise CheckError(str(error)) from error
    killed = int(run("awk '$1 == \"oom_kill\" {print $2}' /proc/vmstat"))
    held, swapped = memory["MemTotal"] - memory["MemAvailable"], memory["SwapTotal"] - memory["SwapFree"]
    return Outcome(
        f"{held} of {memory['MemTotal']} MB, {swapped} MB in swap, {killed} killed",
        held <= MOST * memory["MemTotal"] and killed == 0,
        run(CONTAINERS).splitlines(),
    )


CHECK = Check(
    "memory",
    "memory held by the idle machine with nginx and four models; processes killed for want of it since the boot",
    f"at most {MOST:.0%}; 0 killed",
    measure,
)
