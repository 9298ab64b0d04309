"""Models that answer what reached them, as JSON text, so that a test sees what a request became."""

import json
from pathlib import Path
from typing import Any

import yaml
from harness import Bundles, client_for
from modelhost.settings import Settings
from modelhost.web.app import create_app
from werkzeug.test import Client

SOURCE = """
import json
import numpy as np


def seen(value):
    if isinstance(value, np.ndarray):
        return [seen(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return "NaN" if value != value else value


class Model:
    def predict(self, inputs):
        rows = len(next(iter(inputs.values())))
        texts = [json.dumps({name: seen(array[row]) for name, array in inputs.items()}) for row in range(rows)]
        return {"seen": np.array(texts, dtype=object)}
"""
SEEN = [{"name": "seen", "datatype": "BYTES", "shape": []}]


def write_bundle(
    bundles: Bundles,
    inputs: list[dict[str, Any]],
    examples: list[dict[str, Any]],
    *,
    source: str = SOURCE,
    outputs: list[dict[str, Any]] = SEEN,
    answers: list[dict[str, Any]] | None = None,
    **more: Any,
) -> Path:
    """A bundle `echo` whose golden examples are `examples`; without `answers`, what the echo says of each."""
    bundle = bundles.copy("colours", "echo/1")
    bundles.edit(bundle, lambda manifest: manifest.update(name="echo", inputs=inputs, outputs=outputs, **more))
    bundles.write(bundle, "model.py", source)
    told = answers or [{"seen": json.dumps(example)} for example in examples]
    golden = [{"inputs": given, "outputs": answer} for given, answer in zip(examples, told, strict=True)]
    bundles.write(bundle, "golden.json", json.dumps(golden))
    return bundle


def client_of(bundles: Bundles, **settings: Any) -> Client:
    """A client of the one model in `bundles`."""
    return client_for(create_app(Settings(models_dir=bundles.directory, default_model="", **settings)))


def manifest_of(bundle: Path) -> dict[str, Any]:
    """The bundle's model.yaml."""
    found: dict[str, Any] = yaml.safe_load((bundle / "model.yaml").read_text())
    return found
