"""A model's answer: checked against the schema, and turned into what JSON can carry."""

from typing import Any

import numpy as np

from modelhost.bundle.schema import Output
from modelhost.payload.datatypes import DTYPES, Array, Arrays
from modelhost.payload.errors import ClientError, ModelError


class OutputWriter:
    """Takes one output from what the model returned, and gives it back as rows for JSON."""

    def __init__(self, schema: Output) -> None:
        self.schema = schema
        self.name = schema.name
        self.dtype = DTYPES[schema.datatype]
        self.labels = np.array(schema.labels, dtype=object) if schema.labels else None

    def take(self, returned: Arrays, rows: int) -> Array:
        """This output as a C-contiguous array (rows, *shape) of the schema's dtype.

        A size of -1 in the shape is any, and may be 0. Text is an object array of str, and labels
        are in place of the model's integers.
        Raises ModelError naming the output, what the model returned and what the schema says.
        """
        tensor = self.schema.tensor or self.name
        if tensor not in returned:
            raise self._refusal("tensor", f"is not among the model's outputs {sorted(returned)}")
        try:
            array = np.asarray(returned[tensor], order="C")
        except ValueError as error:
            raise self._refusal("shape", f"is unknown, since what the model returned is no array: {error}") from error
        if not array.size:
            array = self._empty(array, rows)
        if array.shape != (rows, *self.schema.shape) and not self._fits(array.shape, rows):
            told = f"is {list(self.schema.shape)}, but for {rows} rows the model returned "
            raise self._refusal("shape", told + f"{list(array.shape)}")
        if self.labels is not None:
            return self._labelled(array, self.labels)
        if self.dtype.kind == "O" and array.dtype.kind in "UO":
            array = array.astype(object)
            if not all(type(item) is str for item in array.flat):
                raise self._refusal("datatype", "is BYTES, but the model returned other than str")
            return array
        if array.dtype != self.dtype:
            told = f"is {self.schema.datatype}, but the model returned {array.dtype}"
            raise self._refusal("datatype", told)
        return array

    def not_finite(self, array: Array) -> int:
        """How many elements of what `take` gave are NaN or infinite: JSON has neither."""
        return array.size - int(np.count_nonzero(np.isfinite(array))) if self.dtype.kind == "f" else 0

    def refuse_not_finite(self, array: Array) -> None:
        """Raise ClientError (500) naming the first element, if any, that the schema does not let this output have."""
        nullable = self.schema.nullable
        if nullable is None or not self.not_finite(array):
            return
        wrong = np.argwhere(np.isinf(array) if nullable else ~np.isfinite(array))
        if len(wrong):
            raise self._wrong_number(array, tuple(wrong[0].tolist()))

    def rows(self, array: Array) -> list[Any]:
        """One item for each row of what `take` gave.

        Floats stay numpy's: orjson writes 0.97 for a float32, Python 0.9700000286102295.
        """
        return list(array) if self.dtype.kind == "f" else array.tolist()

    def column(self, array: Array) -> Any:
        """All of what `take` gave as one nested list, for orjson to write at once."""
        return array.tolist() if self.dtype.kind == "O" else array

    def _fits(self, shape: tuple[int, ...], rows: int) -> bool:
        """Whether `shape` is the schema's, with any size in place of -1."""
        wanted = (rows, *self.schema.shape)
        return len(shape) == len(wanted) and all(w in (-1, size) for w, size in zip(wanted, shape, strict=True))

    def _empty(self, array: Array, rows: int) -> Array:
        """An empty list has no shape of its own further down, nor a datatype: it gets the schema's, with 0 for -1."""
        shape = (rows, *(0 if size == -1 else size for size in self.schema.shape))
        return np.empty(shape, self.dtype) if array.shape[:1] == (rows,) and 0 in shape[1:] else array

    def _labelled(self, array: Array, labels: Array) -> Array:
        if array.dtype.kind not in "iu":
            raise self._refusal("labels", f"need integers, but the model returned {array.dtype}")
        # As unsigned, a negative integer is too large, not one from the end; numpy itself lets -1 of 64 bits pass.
        outside = array.view(f"u{array.itemsize}") >= len(labels)
        if np.count_nonzero(outside):  # of few elements, in a third of the time of any()
            told = f"has {len(labels)} names, but the model returned the integer "
            raise self._refusal("labels", f"{told}{array[outside][0]}")
        named: Array = labels[array]
        return named

    def _wrong_number(self, array: Array, place: tuple[int, ...]) -> ClientError:
        row, *index = place
        field = self.name + "".join(f"[{at}]" for at in index)
        where = f" in row {row}" if len(array) > 1 else ""
        value = float(array[place])
        if np.isnan(value):
            why = "though its model.yaml says that it never does (nullable: false)"
            instead = f"if NaN stands for a missing value, write nullable: true with the output {self.name}"
        else:
            why, instead = "which JSON cannot carry", "if the value is missing, let it give NaN"
        message = f"The model answers {field}{where} with {value}, {why}: mend the model; or, {instead}."
        expected = "a finite number or NaN" if self.schema.nullable else "a finite number"
        return ClientError(message, field, str(value), expected, status=500)

    def _refusal(self, field: str, problem: str) -> ModelError:
        return ModelError(f"outputs[{self.name}].{field} {problem}")
