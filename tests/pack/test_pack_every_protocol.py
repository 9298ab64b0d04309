"""Bundles of every format, served together, answer over every protocol as each model's own library does alone.

Ten thousand random requests, a part one after the other and the rest from sixteen clients at once, over all models
mixed: an answer that is wrong, or is another request's, is told with its model, protocol and row.
"""

import contextlib
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from click.testing import CliRunner
from commands import MODELS, ROOT
from harness import Server
from modelhost.bundle.bundle import Bundle, find_bundles, read_bundle
from modelhost.bundle.schema import Format
from modelhost.cli import main
from modelhost.models.runtimes import open_runtime
from modelhost.payload.datatypes import DTYPES
from protocol_requests import Row, ways
from trained import train

SEED = 20250131
ALONE, TOGETHER, CLIENTS = 2000, 8200, 16
POOL, MOST_ROWS = 300, 64  # rows that are known of each model; in one request
EXAMPLES = ("churn", "colours", "digits", "iris")
PACKED = {  # by the model's name: the trained model, and how it is packed
    "text": ("mixed", []),  # converted to ONNX: several inputs, one of them text
    "trees": ("forest", ["--no-convert", "--batching"]),  # skops, whose requests share calls
    "light": ("lightgbm", ["--no-convert"]),
    "extreme": ("xgboost", ["--no-convert"]),
    "cats": ("catboost-mixed", []),
    "pickled": ("waves", ["--allow-pickle", "--with", str(Path(__file__).with_name("steps.py"))]),
}
ECHO = """
import numpy as np


class Model:
    def predict(self, inputs):
        marks = [f"{t} {c} {f} {p.tolist()}" for t, c, f, p in zip(*map(inputs.get, ("text", "count", "flag", "pair")))]
        return {"mark": np.array(marks, object), "sum": inputs["pair"].sum(axis=1) + inputs["count"]}
"""


@dataclass(frozen=True)
class Known:
    """A model, rows that it takes, and what its runtime answers to each row alone."""

    bundle: Bundle
    schema: dict[str, Any]
    rows: list[Row]
    answers: dict[str, Any]  # by output, (rows, *shape)


def write_models(directory: Path, scratch: Path) -> None:
    """The three examples, and one bundle of each format."""
    for name in EXAMPLES:
        shutil.copytree(MODELS / name, directory / name)
    for name, (trained, options) in PACKED.items():
        model, sample = train(trained).write(scratch)
        pack(model, name, sample, directory, "--ranges", *options)
    (scratch / "echo.py").write_text(ECHO)
    sample = {"text": ["a", "b"], "count": [1, 2], "flag": [True, False], "pair": [[0.5, 1.0], [2.0, 3.0]]}
    np.savez(scratch / "echo.npz", **{name: np.array(values) for name, values in sample.items()})
    pack(scratch / "echo.py", "echo", scratch / "echo.npz", directory, "--batching")


def pack(model: Path, name: str, sample: Path, into: Path, *options: str) -> None:
    arguments = ["pack", str(model), "--name", name, "--sample", str(sample), "--into", str(into), *options]
    ended = CliRunner().invoke(main, arguments)
    assert ended.exit_code == 0, ended.output


def random_row(bundle: Bundle, pick: random.Random) -> Row:
    """A row within the bundle's schema, as a client has it."""

    def value(schema: Any, datatype: str) -> Any:
        if getattr(schema, "categories", ()):
            return pick.choice(schema.categories)
        if datatype == "BYTES":
            return "".join(pick.choices('aé漢 ,;"\n', k=6)) + str(pick.randrange(10**6))
        if datatype == "BOOL":
            return pick.random() < 0.5
        low = -1000 if schema.minimum is None else schema.minimum
        high = 1000 if schema.maximum is None else schema.maximum
        return pick.randint(low, high) if datatype == "INT64" else low + (high - low) * pick.randrange(1, 2**20) / 2**20

    row: Row = {}
    for tensor in bundle.manifest.inputs:
        if tensor.features:
            row |= {feature.name: value(feature, tensor.datatype) for feature in tensor.features}
            continue
        flat = [value(tensor, tensor.datatype) for _ in range(int(np.prod(tensor.shape)))]
        row[tensor.name] = np.array(flat, object).reshape(tensor.shape).tolist()
    return row


def answered_alone(bundle: Bundle, rows: list[Row]) -> dict[str, Any]:
    """What the model's own library says to each row by itself; labels named as model.yaml has them."""
    runtime = open_runtime(bundle)
    found: dict[str, list[Any]] = {output.name: [] for output in bundle.manifest.outputs}
    for row in rows:
        inputs = {}
        for tensor in bundle.manifest.inputs:
            sent = [row[feature.name] for feature in tensor.features] if tensor.features else row[tensor.name]
            inputs[tensor.tensor or tensor.name] = np.array([sent], DTYPES[tensor.datatype])
        outputs = runtime.predict(inputs)
        for output in bundle.manifest.outputs:
            (answer,) = np.asarray(outputs[output.tensor or output.name])
            found[output.name].append(output.labels[int(answer)] if output.labels else answer)
    return {name: np.array(answers) for name, answers in found.items()}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, Known]]]:
    directory, scratch = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("scratch")
    path = f"{ROOT / 'app'}:{ROOT / 'tests/pack'}"  # the pickle's own step is there
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        write_models(directory, scratch)
    allowed = {"MODELHOST_ALLOW_PICKLE": "pickled", "PYTHONPATH": path}
    server = Server(scratch, MODELHOST_MODELS_DIR=str(directory), MODELHOST_BODY_LIMIT_MB="4", **allowed)
    try:
        pick = random.Random(SEED)
        known = {}
        for bundle in map(read_bundle, find_bundles(directory)):
            rows = [random_row(bundle, pick) for _ in range(POOL)]
            known[bundle.name] = Known(bundle, {}, rows, answered_alone(bundle, rows))
        server.wait_until_ready()
        for name, model in known.items():
            model.schema.update(json.loads(server.request("GET", f"/models/{name}").body))
        yield server, known
    finally:
        server.stop()


def check(model: Known, chosen: list[int], got: list[Row], way: str) -> None:
    """`got` is what the rows `chosen` are answered alone."""
    assert len(got) == len(chosen), (model.bundle.name, way)
    tolerance = model.bundle.manifest.tolerance
    for name, answers in model.answers.items():
        values, wanted = [row[name] for row in got], answers[chosen]
        if wanted.dtype.kind == "f":
            same = np.isclose(np.array(values), wanted, rtol=tolerance, atol=tolerance)
        else:
            same = np.array(values, wanted.dtype) == wanted
        if not same.all():
            row = int(np.argwhere(~same)[0][0])
            place = next((i for i, answer in enumerate(answers) if np.array_equal(answer, values[row])), "nobody's")
            raise AssertionError(
                f"seed {SEED}: {model.bundle.name} over {way}: {name} of row {row} is {values[row]}, "
                f"not {wanted[row]} of {model.rows[chosen[row]]}; it is the answer to the known row {place}"
            )


def ask(server: Server, known: dict[str, Known], number: int, seed: int) -> Counter[tuple[str, str]]:
    """One client with a connection of its own: `number` random requests, each answer checked; how many of each kind."""
    pick = random.Random(seed)
    counted: Counter[tuple[str, str]] = Counter()
    with contextlib.closing(server.connect()) as connection:
        for _ in range(number):
            model = known[pick.choice(list(known))]
            chosen = pick.sample(range(POOL), 1 if pick.random() < 0.2 else pick.randint(1, MOST_ROWS))
            speaks = ways(model.schema, [model.rows[i] for i in chosen])
            way = pick.choice(list(speaks))
            spoken = speaks[way]()
            connection.request("POST", spoken.url, spoken.body, spoken.headers)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, (SEED, model.bundle.name, way, body)
            check(model, chosen, spoken.read(body, answer.headers), way)
            counted[model.bundle.name, way] += 1
            counted["rows", ""] += len(chosen)
    return counted


def test_every_format_answers_alike_over_every_protocol_alone_and_in_a_batch(
    served: tuple[Server, dict[str, Known]], capsys: pytest.CaptureFixture[str]
) -> None:
    server, known = served
    assert {model.bundle.manifest.format for model in known.values()} == set(get_args(Format))
    assert known["trees"].bundle.manifest.batching, "a model whose waiting requests share calls is among them"
    workers = server.worker_pids()
    begun = time.monotonic()
    counted = ask(server, known, ALONE, SEED)
    alone = time.monotonic() - begun
    each = TOGETHER // CLIENTS + 1
    with ThreadPoolExecutor(CLIENTS) as clients:
        for found in clients.map(lambda seed: ask(server, known, each, seed), range(SEED + 1, SEED + 1 + CLIENTS)):
            counted += found
    assert server.worker_pids() == workers, server.log.read_text()
    rows = counted.pop(("rows", ""))
    with capsys.disabled():
        print(told(counted, rows, known, alone, time.monotonic() - begun))
    assert counted.total() >= 10_000
    assert len(counted) == 16 * len(known), "every model was asked over every protocol"


def told(counted: Counter[tuple[str, str]], rows: int, known: dict[str, Known], alone: float, all_of_it: float) -> str:
    """The counts, for people."""
    lines = [
        f"\nseed {SEED}: {counted.total():,} requests of {rows:,} rows, none answered wrong; {ALONE:,} one after the "
        f"other in {alone:.0f} s, the rest from {CLIENTS} clients at once in {all_of_it - alone:.0f} s"
    ]
    for place, kind in ((0, "model"), (1, "protocol")):
        sums: Counter[str] = Counter()
        for key, number in counted.items():
            sums[key[place]] += number
        lines.append(f"by {kind}: " + ", ".join(f"{name} {number:,}" for name, number in sorted(sums.items())))
    told_apart = (
        f"{name} ({model.bundle.manifest.format}) "
        f"{len({str([answers[i] for answers in model.answers.values()]) for i in range(POOL)})}"
        for name, model in known.items()
    )
    lines.append(f"different answers among the {POOL} rows of each: " + ", ".join(told_apart))
    return "\n".join(lines)
