"""What gradient-boosted trees answer, whichever library grew them."""

import numpy as np

from modelhost.payload.datatypes import Array, Arrays

# Objectives whose raw answer is a probability, in the words of LightGBM and of XGBoost.
CLASSIFYING = {"binary", "multiclass", "multiclassova", "binary:logistic", "multi:softprob"}


def answers(raw: Array, objective: str) -> Arrays:
    """`raw` of (rows,) or (rows, classes) as label (rows,) int64 and probabilities (rows, classes).

    Where the objective is no classification: as prediction, which is `raw` itself.
    """
    if objective not in CLASSIFYING:
        return {"prediction": raw}
    probabilities = np.stack([1 - raw, raw], axis=1) if raw.ndim == 1 else raw
    return {"label": probabilities.argmax(axis=1), "probabilities": probabilities}
