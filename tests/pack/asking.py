"""A model packed and loaded as a server loads it, and asked as a client asks: JSON in, JSON out."""

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import orjson
import pandas as pd
import yaml
from modelhost.bundle.bundle import read_bundle
from modelhost.models.model import Model
from modelhost.packing.options import PackOptions
from modelhost.packing.pack import pack
from modelhost.payload.batches import read_batch
from sklearn.base import is_classifier

Record = dict[str, Any]


class Asked:
    """The bundle of `estimator` or of a model's file, packed with the data frame `sample` written as CSV, or a file."""

    def __init__(self, directory: Path, estimator: Any, sample: pd.DataFrame | Path, **options: Any) -> None:
        file, rows = directory / "model.joblib", directory / "sample.csv"
        if isinstance(estimator, Path):
            file = estimator
        else:
            joblib.dump(estimator, file)
        if isinstance(sample, Path):
            rows = sample
        else:
            sample.to_csv(rows, index=False)
        asked = PackOptions(file, "m", rows, directory / "models", measure=False, **options)
        self.found = pack(asked, lambda _: None)
        self.directory = Path(self.found["bundle"])
        self.manifest = yaml.safe_load((self.directory / "model.yaml").read_text())
        self.model = Model.load(read_bundle(self.directory))

    def predict(self, rows: pd.DataFrame | list[Record]) -> list[Record]:
        """The answers to `rows`; those of a data frame are sent with null where a value is missing."""
        sent = records(rows) if isinstance(rows, pd.DataFrame) else rows
        outputs = self.model.predict(read_batch(self.model.inputs, json.loads(json.dumps(sent)), "rows"))
        answered: list[Record] = orjson.loads(orjson.dumps(self.model.rows(outputs), option=orjson.OPT_SERIALIZE_NUMPY))
        return answered

    def column(self, name: str) -> dict[str, Any]:
        """What model.yaml says of an input, or of a feature, of this name."""
        inputs = self.manifest["inputs"]
        columns = [column for schema in inputs for column in schema.get("features", [schema])]
        return next(column for column in columns if column["name"] == name)


def records(rows: pd.DataFrame) -> list[Record]:
    """The rows as a client writes them in JSON."""
    columns = {name: [_plain(value) for value in rows[name].tolist()] for name in rows}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    missing = value is None or value is pd.NA or (isinstance(value, float) and value != value)
    return None if missing else value.item() if isinstance(value, np.generic) else value


def assert_as_estimator(asked: Asked, estimator: Any, rows: pd.DataFrame, taken: Any = None) -> None:
    """Every row is answered as the estimator's own verbs answer `taken`, or else the row, with its types."""
    taken = rows if taken is None else taken
    answered = asked.predict(rows)
    verbs = {"label": "predict", "prediction": "predict", "probabilities": "predict_proba",
             "scores": "decision_function", "distances": "transform", "transformed": "transform"}  # fmt: skip
    assert len(answered) == len(rows)
    predicted = "label" if is_classifier(estimator) else "prediction"
    assert (predicted if hasattr(estimator, "predict") else "transformed") in answered[0]
    assert ("probabilities" in answered[0]) == hasattr(estimator, "predict_proba")
    for name in answered[0]:
        own = getattr(estimator, verbs[name])(taken)
        own = np.asarray(own.toarray() if hasattr(own, "toarray") else own)
        got = np.array([row[name] for row in answered])
        if own.dtype.kind == "f":
            np.testing.assert_allclose(got, own, rtol=1e-4, atol=1e-4)
        else:
            assert [row[name] for row in answered] == own.tolist()
