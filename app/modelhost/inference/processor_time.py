"""What of a call was the processor's time: for the rest of it, others had the core."""

import time

# Seconds between two looks. A look at a thread's own time is a call of the system: two of them around each call of a
# small model cost half as much as the model.
FRESH = 0.001


class ProcessorTime:
    """The loop's thread, whose time is looked at now and then, and after a call that was slow."""

    def __init__(self) -> None:
        self._looked = 0.0  # of time.perf_counter
        self._had = 0.0  # the thread's time then

    def begin(self, now: float) -> None:
        """A call begins."""
        if now - self._looked > FRESH:
            self._looked, self._had = now, time.thread_time()

    def used(self, begun: float) -> float:
        """The seconds that a call which began then and ends now has used, or up to FRESH fewer."""
        return max(0.0, time.thread_time() - self._had - (begun - self._looked))
