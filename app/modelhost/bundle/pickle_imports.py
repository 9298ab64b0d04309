"""What the pickles in a file import, by reading them.

Scanners that only list a pickle's instructions lose their place at an array of joblib's, whose bytes stand between
them: what comes after the first one is not seen. Here such an array is stepped over, as joblib does.
"""

import contextlib
from typing import BinaryIO

from .joblib_reader import JoblibReader, reads_arrays
from .pickle_reader import Budget, Import, Reader, UnreadableError
from .short_text import shorten_text

__all__ = ["Import", "UnreadableError", "read_imports", "reads_arrays"]


def read_imports(file: BinaryIO, found: set[Import], plain: bool = False) -> None:
    """Add to `found` what the pickle at the file's place imports, and those behind it, as PyTorch used to write them.

    `plain`: as pickle.load reads it, and not as joblib.load does.
    Raises UnreadableError where the first one cannot be read to its end: `found` is what it imports until there.
    """
    budget = Budget(file)
    reader = Reader if plain else JoblibReader
    _read(reader, budget, found)
    with contextlib.suppress(UnreadableError):  # what stands behind a pickle need not be one
        while True:
            _read(reader, budget, found)


def _read(reader: type[Reader], budget: Budget, found: set[Import]) -> None:
    try:
        reader(budget, found).load()
    except UnreadableError:
        raise
    except EOFError:
        raise UnreadableError("it ends too early") from None
    except Exception as error:  # whatever instructions that fit together wrongly raise
        raise UnreadableError(f"{type(error).__name__}: {shorten_text(str(error), 200)}") from None
