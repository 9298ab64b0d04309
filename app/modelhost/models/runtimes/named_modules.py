"""The modules whose classes a model file names, found without making any of them.

Imported before the fork they are shared by all workers; a worker that imports them by itself, when
it loads the file, has them for itself: 100 MB for a forest of scikit-learn behind a data frame.
"""

import contextlib
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelhost.bundle.extras import extras_of
from modelhost.bundle.schema import Manifest

# Libraries whose import does nothing but define; a file may name any other too.
LIBRARIES = "sklearn|scipy|pandas|lightgbm|xgboost|catboost"
NAME = re.compile(rf"\b(?:{LIBRARIES})(?:\.[A-Za-z_][A-Za-z0-9_]*)*".encode())
MOST_BYTES = 256 * 2**20  # of a pickle; what is behind them is data of a large model


def named_modules(directory: Path, manifest: Manifest) -> list[str]:
    """Modules of LIBRARIES that the entry of a bundle names, and what data frames need; sorted.

    Some may not exist: a text in the file can look like a module's name. What cannot be read names none.
    """
    found = set(_of_frames(manifest))
    read = {"skops": _of_skops, "pickle": _of_pickle}.get(manifest.format)
    if read:
        # What is wrong with the file is said in full when the model is loaded.
        with contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile):
            found.update(read(directory / manifest.entry))
    return sorted(found)


def _of_frames(manifest: Manifest) -> Iterator[str]:
    """pandas, where the model is given a data frame, and what scikit-learn looks at one with."""
    one_array = len(manifest.inputs) == 1 and len(manifest.inputs[0].shape) > 0
    of_estimators = {"skops", "pickle"} & set(extras_of(manifest))
    if manifest.table == "frame" or (of_estimators and not manifest.table and not one_array):
        yield "pandas"
        if of_estimators:
            yield "narwhals._pandas_like.dataframe"


def _of_skops(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as file:
        waiting: list[Any] = [json.loads(file.read("schema.json"))]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            module = part.get("__module__")
            if isinstance(module, str) and NAME.fullmatch(module.encode()):
                yield module
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _of_pickle(path: Path) -> Iterator[str]:
    """Those whose names stand in the bytes: a pickle has them as plain text, whatever its protocol."""
    with path.open("rb") as file:
        for name in set(NAME.findall(file.read(MOST_BYTES))):
            yield name.decode()
