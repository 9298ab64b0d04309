"""LitServe over scikit-learn, one API for each model; BATCH is the most requests in one call."""

import os
from pathlib import Path
from typing import Any

import joblib
import litserve
import numpy as np


class Api(litserve.LitAPI):
    """A scikit-learn model. Requests of several rows share a call as well as those of one."""

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(api_path=f"/{path.stem}/predict", **options)
        self.path = path

    def setup(self, device: str) -> None:
        """Load the model in the worker."""
        self.model = joblib.load(self.path)

    def decode_request(self, request: dict[str, Any]) -> Any:
        """Read the rows."""
        return np.array(request["rows"], dtype=float)

    def batch(self, inputs: list[Any]) -> list[Any]:
        """Keep the requests apart: they may have different numbers of rows."""
        return inputs

    def predict(self, x: Any) -> Any:
        """Probabilities of one request, or of a list of them in one call of the model."""
        if not isinstance(x, list):
            return self.model.predict_proba(x)
        answer = self.model.predict_proba(np.concatenate(x))
        return np.split(answer, np.cumsum([len(rows) for rows in x])[:-1])

    def unbatch(self, output: list[Any]) -> list[Any]:
        """As `batch`."""
        return output

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Write labels and probabilities."""
        labels = self.model.classes_[output.argmax(axis=1)]
        return {"labels": labels.tolist(), "probabilities": output.tolist()}


if __name__ == "__main__":
    batch = int(os.environ.get("BATCH", "1"))
    options = {"max_batch_size": batch, "batch_timeout": 0.005} if batch > 1 else {}
    apis = [Api(path, **options) for path in sorted(Path(os.environ["MODELS"]).glob("*.joblib"))]
    server = litserve.LitServer(apis, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False, log_level="warning")
