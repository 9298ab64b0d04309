"""Everything that is done to the machine, in the order of the table."""

from scene import Fault

from faults import disk, engine, memory, plays, processes, refusals, releases, replicas, vanished

ALL: dict[str, Fault] = {
    fault.name: fault
    for fault in [
        *refusals.FAULTS,
        *plays.FAULTS,
        *vanished.FAULTS,
        *processes.FAULTS,
        *replicas.FAULTS,
        *engine.FAULTS,
        *memory.FAULTS,
        *disk.FAULTS,
        # Last: it goes on until as many requests were sent as are wanted.
        *releases.FAULTS,
    ]
}
