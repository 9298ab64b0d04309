"""Models that take one row a call (`rows: one`): asked for each row of a request, and the answers put together."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from modelhost.payload.datatypes import Arrays
from modelhost.payload.errors import ClientError, ModelError


class RowByRow:
    """A runtime around another, which is called with one row at a time: arrays of (1, *shape), in and out."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        if hasattr(runtime, "stream"):
            self.stream: Callable[[Arrays], Iterator[Arrays]] = self._stream

    def predict(self, inputs: Arrays) -> Any:
        """See Runtime; raises ClientError where the rows' outputs differ in size, so that none fit in one array."""
        rows = len(next(iter(inputs.values())))
        answers = [self._runtime.predict(_row(inputs, row)) for row in range(rows)]
        if rows == 1 or not all(isinstance(answer, dict) for answer in answers):
            return answers[0]  # what is no dict is refused where every answer is checked
        return {name: _put_together(name, [np.asarray(answer[name]) for answer in answers]) for name in answers[0]}

    def _stream(self, inputs: Arrays) -> Iterator[Arrays]:
        rows = len(next(iter(inputs.values())))
        if rows > 1:
            message = "This model streams the answer to one row at a time: send each row as a request of its own."
            raise ClientError(message, None, f"{rows} rows", "one row")
        yield from self._runtime.stream(inputs)


def _row(inputs: Arrays, row: int) -> Arrays:
    return {name: array[row : row + 1] for name, array in inputs.items()}


def _put_together(name: str, arrays: list[Any]) -> Any:
    for array in arrays:
        if array.shape[:1] != (1,):  # its values would be another row's
            given = f"{array.shape[0]} rows" if array.ndim else "a single value"
            raise ModelError(f"output {name} has {given} for one row: return it with one row first, as array[None]")
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) > 1:
        sizes = " and ".join(str(list(shape)) for shape in sorted(shapes)[:2])
        message = (
            f"The rows of this request have an output, {name}, of several sizes ({sizes}), which do not fit in one "
            "array: send each row as a request of its own."
        )
        raise ClientError(message, None, f"{len(arrays)} rows", "one row")
    return np.concatenate(arrays)
