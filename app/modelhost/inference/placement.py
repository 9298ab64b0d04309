"""Where a model computes: in the worker's loop what cannot take long, in a thread all else.

Handing a call to a thread costs more than a small model does. But while one computes in the loop, no one else is
answered: so only formats whose time follows from the size of what they are given may, and only where the slowest of
recent calls says that this one takes less than a millisecond.
"""

from modelhost.inference.latency import Latency
from modelhost.models.model import Model
from modelhost.payload.datatypes import Arrays, size
from modelhost.payload.records import read_record

AT_ONCE = 0.001  # seconds: what may take longer goes to a thread

# Of a Python class nobody knows what it does with an input, unless its bundle says so.
KNOWN = ("onnx", "catboost", "lightgbm", "xgboost")


class Placement:
    """What is known of one model's calls."""

    def __init__(self, model: Model) -> None:
        self.speed = Latency.measure(model)
        self._known = model.manifest.format in KNOWN
        said = model.manifest.quick
        self._quick = self._known and not model.varies if said is None else said
        self._sized = model.varies or any(reader.schema.datatype == "BYTES" for reader in model.inputs)
        self._of_a_row = max(1, size(read_record(model.inputs, model.example))) if self._sized else 0

    def work(self, inputs: Arrays, rows: int) -> int:
        """`rows` in rows as large as the example's: one ten times as long is expected to take as long as ten."""
        return max(rows, size(inputs) // self._of_a_row) if self._sized else rows

    def in_loop(self, work: int) -> bool:
        """Whether a call with so much work cannot take long."""
        return self._quick and self.speed.at_most(work) < AT_ONCE

    def was_slow(self, work: int, seconds: float) -> bool:
        """Whether a call took longer than it was expected to at most: then it matters who had the core."""
        return seconds > self.speed.at_most(work)

    def learn(self, work: int, seconds: float, used: float) -> None:
        """A call with so much work took `seconds`, and `used` so many of the processor's.

        Formats that are known compute as long as they take: that others had the core says nothing about them.
        """
        self.speed.learn(work, seconds, used if self._known else seconds)

    def failed(self, work: int, seconds: float, used: float) -> None:
        """A call failed after so long. It may have failed at once, and so teaches only where it was slow."""
        if self.was_slow(work, used if self._known else seconds):
            self.learn(work, seconds, used)
