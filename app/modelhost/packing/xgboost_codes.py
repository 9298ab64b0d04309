"""Categories of which an XGBoost model has only the codes: it answers any number, and wrongly if it is no code.

XGBoost keeps the values of pandas' categories since version 3.1; a model that was trained on numbers has none.
"""

from typing import Any

from modelhost.packing.errors import PackError
from modelhost.packing.samples import Sample, present

OF_FRAMES = {"int", "float", "i"}  # what XGBoost calls a data frame's numbers; those of an array are q


def refuse_other_than_codes(model: dict[str, Any], types: list[str], columns: dict[int, str], sample: Sample) -> None:
    """Raise PackError where the sample's `columns`, by their place, do not hold the codes that the `model` knows.

    `model` is its JSON below gradient_booster, and `types` are its features'.
    """
    if columns and OF_FRAMES.intersection(types):
        raise PackError(
            f"XGBoost kept no values of the categories of {next(iter(columns.values()))}, as before its version 3.1: "
            "train the model again with a newer one"
        )
    for place, name in columns.items():
        codes = _codes(model, place)
        if codes and not codes.intersection(present(sample.columns[name]).tolist()):
            listed = ", ".join(map(str, sorted(codes)[:6]))
            raise PackError(
                f"the sample's column {name} holds none of the codes that the model knows, such as {listed}"
            )


def _codes(model: dict[str, Any], feature: int) -> set[int]:
    """Those by which trees split on a feature."""
    found: set[int] = set()
    for tree in model.get("trees", []):
        parts = zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
        for node, start, size in parts:
            if tree["split_indices"][node] == feature:
                found.update(tree["categories"][start : start + size])
    return found
