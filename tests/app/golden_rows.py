"""The golden examples of the bundles in models/, as clients with arrays send them."""

import json
from typing import Any

import numpy as np
from harness import MODELS

TYPES = {"colours": np.int64, "digits": np.float32, "iris": np.float32}


def examples(name: str) -> tuple[np.ndarray[Any, Any], list[dict[str, Any]]]:
    """The rows of a bundle's golden examples in one array, and the outputs expected."""
    golden = json.loads((MODELS / name / "1/golden.json").read_text())
    rows = []
    for example in golden:
        values = list(example["inputs"].values())
        rows.append(values if len(values) > 1 else values[0])
    return np.array(rows, TYPES[name]), [example["outputs"] for example in golden]
