"""While a bundle is loaded hot others are answered: no request waits until the load has ended."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import PATIENCE, Bundles, Server, eventually
from onnx_files import chain

Start = Callable[..., Server]
IRIS = "[[5.1, 3.5, 1.4, 0.2]]"
# Loads, and then warms up, for as long as the test likes.
SOURCE = """
import time

class Model:
    def load(self, directory):
        self.directory = directory.parent.parent
        self.wait_for("load")

    def wait_for(self, name):
        self.directory.joinpath(f"{{name}} begun").touch()
        while not self.directory.joinpath(f"{{name}} may end").exists():
            {wait}

    def predict(self, inputs):
        self.wait_for("predict")
        return {{"y": inputs["x"]}}
"""
WAITS = {"sleeps": "time.sleep(0.001)", "computes in Python": "sum(range(10_000))"}


@pytest.fixture
def server(bundles: Bundles, start_server: Start) -> Iterator[Server]:
    """One worker over iris, which may change."""
    bundles.copy("iris")
    variables = {"MODELHOST_MODELS_DIR": str(bundles.directory), "MODELHOST_DEFAULT_MODEL": "iris"}
    server = start_server(
        MODELHOST_WORKERS="1", MODELHOST_HOT_MODELS="true", **variables, MODELHOST_TIMEOUT_SECONDS="90"
    )
    server.wait_until_ready()
    yield server
    for name in ("load", "predict"):
        (bundles.directory / f"{name} may end").touch()


class Load(threading.Thread):
    """A load of a model, on its way."""

    def __init__(self, server: Server, name: str) -> None:
        super().__init__(daemon=True)
        self.server, self.name_of_model = server, name
        self.answer: Any = None
        self.start()

    def run(self) -> None:
        self.answer = self.server.request("POST", f"/v2/repository/models/{self.name_of_model}/load")

    def answered(self) -> Any:
        self.join(PATIENCE)
        return self.answer


def bundle_of(bundles: Bundles, name: str, datatype: str, shape: list[int], example: Any) -> Path:
    """A bundle that answers, as y, what is like x."""
    bundle = bundles.copy("colours", f"{name}/1")
    x, y = ({"name": side, "datatype": datatype, "shape": shape} for side in "xy")
    bundles.edit(bundle, lambda manifest: manifest.update(name=name, inputs=[x], outputs=[y]))
    bundles.write(bundle, "golden.json", json.dumps([{"inputs": {"x": example}, "outputs": {"y": example}}]))
    return bundle


def others_are_answered(server: Server) -> None:
    for _ in range(20):
        assert server.request("GET", "/healthz").status == 200
        assert server.request("POST", "/", IRIS).status == 200
        assert server.request("POST", "/models/slow/predict", '{"x": 1}').status == 404


@pytest.mark.parametrize("how", WAITS)
def test_others_are_answered_while_a_class_loads_and_warms_up(server: Server, bundles: Bundles, how: str) -> None:
    bundle = bundle_of(bundles, "slow", "FP32", [], 1.0)
    bundles.write(bundle, "model.py", SOURCE.format(wait=WAITS[how]))
    load = Load(server, "slow")
    for name in ("load", "predict"):
        assert eventually((bundles.directory / f"{name} begun").exists), server.log.read_text()
        others_are_answered(server)
        assert load.answer is None
        (bundles.directory / f"{name} may end").touch()
    assert load.answered().status == 200
    assert server.request("POST", "/models/slow/predict", '{"x": 1}').status == 200


def test_others_are_answered_while_onnx_runtime_loads_a_file_of_some_megabytes(
    server: Server, bundles: Bundles
) -> None:
    bundle = bundle_of(bundles, "chain", "FP32", [50], [0.0] * 50)
    bundles.write(bundle, "model.onnx", chain(1500, np.zeros((50, 50), np.float32)))
    bundles.edit(bundle, lambda manifest: manifest.update(format="onnx", entry="model.onnx"))
    load, answered = Load(server, "chain"), []
    while load.is_alive():
        start = time.time()
        assert server.request("POST", "/", IRIS).status == 200
        assert server.request("GET", "/healthz").status == 200
        answered.append((start, time.time()))
    assert load.answered().status == 200, load.answer.body
    begun, ended = loading(server, "chain")
    within = [each for each in answered if begun < each[0] and each[1] < ended]
    assert len(within) > 3, f"of {len(answered)}, in {ended - begun:.2f} s"


def loading(server: Server, name: str) -> tuple[float, float]:
    """When the server began, and ended, to load the model, by its log; in seconds since 1970."""
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line["message"].startswith(f"model {name} version 1")]
    loaded, warmed = (float(found) / 1e3 for found in re.findall(r"in ([\d.]+) ms", line["message"]))
    ended = datetime.fromisoformat(line["time"]).timestamp() - warmed
    return ended - loaded, ended
