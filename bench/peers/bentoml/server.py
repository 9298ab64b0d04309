"""BentoML over scikit-learn, an API for each model; BATCHING=1 lets requests share a call."""

import os
from pathlib import Path

import bentoml
import joblib
import numpy as np

BATCHING = os.environ.get("BATCHING") == "1"
MODELS = Path(os.environ["MODELS"])
api = bentoml.api(batchable=True, max_batch_size=512, max_latency_ms=1000) if BATCHING else bentoml.api


@bentoml.service(workers=2, traffic={"timeout": 30})
class Models:
    """Probabilities of each row; the client takes the largest for the label."""

    def __init__(self) -> None:
        self.models = {path.stem: joblib.load(path) for path in MODELS.glob("*.joblib")}

    @api
    def iris(self, rows: np.ndarray) -> np.ndarray:
        """Answer a batch."""
        return self.models["iris"].predict_proba(rows)

    @api
    def rf(self, rows: np.ndarray) -> np.ndarray:
        """Answer a batch."""
        return self.models["rf"].predict_proba(rows)

    @api
    def wine(self, rows: np.ndarray) -> np.ndarray:
        """Answer a batch."""
        return self.models["wine"].predict_proba(rows)
