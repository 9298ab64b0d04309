"""What the model itself answers to the sample: all else is compared with it."""

import numpy as np

from modelhost.packing.compare import same
from modelhost.packing.errors import PackError
from modelhost.packing.source_model import Source
from modelhost.payload.datatypes import Arrays
from modelhost.payload.messages import first_line


def reference_answers(source: Source) -> Arrays:
    """By output, what `source` answers to its batch, each (rows, *shape); raises PackError where that is no answer."""
    try:
        answers = {name: np.asarray(array) for name, array in source.predict(source.batch).items()}
    except PackError:
        raise
    except Exception as error:  # the trainer's own model: whatever it raises, it says why
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise PackError(f"the model cannot predict the sample: {reason}") from error
    if not answers:
        raise PackError("the model returned no output: return a dict with one at least")
    rows = len(next(iter(source.batch.values())))
    for name, array in answers.items():
        if array.shape[:1] != (rows,):
            hint = "its rows must come first"
            if source.table == "frame" and array.shape[:1] == (len(source.batch),):
                hint = "it takes one column, not several: leave out the others, such as the target, with --drop NAME"
            raise PackError(f"output {name} has the shape {array.shape} for {rows} rows: {hint}")
    return answers


def check_pure(source: Source, reference: Arrays) -> None:
    """--pure is a promise; one that the sample breaks at once is refused."""
    for name, array in source.predict(source.batch).items():
        if not same(np.asarray(array), reference[name]):
            raise PackError(f"--pure: asked twice, the model gave two answers to the sample ({name}): leave --pure out")
