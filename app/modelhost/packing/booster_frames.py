"""A booster out of its library's own file that was trained on pandas' categories: it takes a data frame.

Asked with numbers, it would take a category's value for pandas' code of it.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelhost.packing.fitted_columns import add_categories, fitted_columns
from modelhost.packing.samples import Sample
from modelhost.packing.source_model import Saved, Source
from modelhost.packing.tables import find_table
from modelhost.payload.datatypes import Arrays


def frame_source(
    library: str,
    kind: str,
    booster: Any,
    sample: Sample,
    answers: Callable[[Any], Arrays],
    save: Callable[[Path], Saved],
) -> Source | None:
    """`booster` called with a data frame, as `answers` calls it; None if it was trained on no categories of pandas."""
    fitted = fitted_columns(booster, sample)
    if not any(known.dtype == "category" for known in fitted.values()):
        return None
    table = find_table(sample, True, fitted, answers)
    add_categories(table.inputs, fitted)

    def predict(rows: Arrays) -> Arrays:
        return answers(table.of(rows))

    def save_for_frames(directory: Path) -> Saved:
        return replace(save(directory), libraries=("pandas",))

    return Source(library, kind, table.inputs, table.batch, predict, save_for_frames, table=table.kind)
