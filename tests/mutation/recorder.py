"""Write down which test runs which statement, in whatever process: a server that outlives the test that started it too.

A file of the copy under test that is instrumented (recording.py) imports this by its path. The number of the test that
runs now is in a file that every process maps into its memory; a pair that was not seen before is appended to another.
"""

import mmap
import os
import struct
from pathlib import Path

HERE = Path(__file__).resolve().parents[2] / "record"
PAIR = struct.Struct("<II")  # the test's number; the file's in the upper 16 bits and the line's in the lower

_seen: set[tuple[bytes, int]] = set()
with (HERE / "now").open("rb") as _file:
    _now = mmap.mmap(_file.fileno(), 4, access=mmap.ACCESS_READ)
_pairs = os.open(HERE / "pairs", os.O_WRONLY | os.O_APPEND)


def hit(place: int) -> None:
    """A statement runs."""
    pair = (_now[:4], place)
    if pair not in _seen:
        _seen.add(pair)
        os.write(_pairs, PAIR.pack(int.from_bytes(pair[0], "little"), place))
