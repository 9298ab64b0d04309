"""The cases inside the PyPI package `onnx`, as shipped; `make bench-pack` asks all of them, this a part."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "bench/pack/onnx_cases.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("onnx_cases", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["onnx_cases"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore")
def test_every_case_is_packed_and_answered_alike_or_refused_in_a_sentence(bench: ModuleType) -> None:
    verdicts = bench.run(limit=220)
    counts = bench.summary(verdicts)
    assert counts["neither"] == 0, [v.said for v in verdicts if v.state == "crashed"]
    assert counts["wrong"] == 0, [(v.name, v.wrong) for v in verdicts if v.wrong]
    assert counts["packed of those answered"] >= 0.95 * counts["answered by ONNX Runtime as expected"]


@pytest.mark.filterwarnings("ignore")
def test_wrong_answer_would_be_seen(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelhost.models.model import Model

    case = next(case for case in bench.cases(("node",)) if case.name == "test_abs")
    assert bench.examine(case).wrong == []
    predict = Model.predict
    monkeypatch.setattr(Model, "check_examples", lambda *_: None)
    monkeypatch.setattr(Model, "predict", lambda self, rows: {n: a + 1 for n, a in predict(self, rows).items()})
    assert len(bench.examine(case).wrong) == len(bench.PROTOCOLS)
