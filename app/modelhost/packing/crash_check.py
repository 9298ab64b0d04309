"""A first reading of a model file by a library of native code, in a process that may crash."""

import subprocess
import sys
from pathlib import Path

from modelhost.packing.errors import PackError


def refuse_what_crashes(path: Path, library: str, reading: str) -> None:
    """Raise PackError where the Python expression `reading` of `library`, with `path`, ends its process.

    What it only raises is left to the caller. LightGBM, for one, reads a file that was cut beyond its end.
    """
    code = f"import sys, {library}\npath = sys.argv[1]\ntry:\n    {reading}\nexcept Exception:\n    pass\n"
    ended = subprocess.run([sys.executable, "-P", "-c", code, str(path)], capture_output=True, check=False)
    if ended.returncode < 0 or ended.returncode > 1:  # by a signal, or by Windows' code for one
        raise PackError(
            f"{path} cannot be read: {library} crashes on it, so it is cut or damaged: save the model again"
        )
