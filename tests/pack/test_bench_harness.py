"""`make bench-pack` can fail: what is answered otherwise than the model does is found, and so is what crashes."""

import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from pack import answers, report, run, stages
from pack.answers import Expected, judge

# A case as a set has them; numbers with gaps would do as well, but this trains in no time.
TINY = """
import os, time
import numpy as np, pandas as pd
from sklearn.tree import DecisionTreeClassifier
from pack.case import ApartError, Case


def build(name):
    if name == "abort":
        os.abort()
    if name == "sleep":
        time.sleep(60)
    if name == "apart":
        raise ApartError("nothing to serve")
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"a": rng.normal(size=2300), "b": rng.integers(0, 9, 2300)})
    target = np.where(frame.a + frame.b > 4, "ja", "no") if name == "texts" else (frame.a + frame.b > 4).to_numpy()
    return Case(name, DecisionTreeClassifier(max_depth=6, random_state=0).fit(frame, target), frame[:300], frame[300:])
"""
EQUAL, WRONG = {"equal": 1}, {"wrong": 1}


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for a case, and the module of its set."""
    (tmp_path / "tiny_set.py").write_text(TINY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(run.PROJECT / "app"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("target", ["texts", "booleans"])
def test_bundle_that_answers_as_its_model_is_counted_equal_in_every_row(tiny, target):
    trained = stages.train(tiny, "tiny_set", target)
    assert stages.pack(tiny, trained["model"], [])["code"] == 0
    verdict = stages.serve(tiny)
    assert (verdict["equal"], verdict["wrong"], verdict["refused"]) == (2000, 0, 0), verdict


def test_bundle_of_another_model_is_wrong_in_exactly_the_rows_that_differ(tiny):
    trained = stages.train(tiny, "tiny_set", "texts")
    model = joblib.load(tiny / "model.joblib")
    rows = answers_of(model, tiny)
    leaf, _ = min(Counter(model.apply(joblib.load(tiny / "rows.pickle"))).items(), key=lambda pair: pair[1])
    model.tree_.value[leaf] = model.tree_.value[leaf, :, ::-1].copy()
    joblib.dump(model, tiny / "model.joblib")  # the bundle agrees with itself: no golden example can tell
    differing = int((answers_of(model, tiny) != rows).sum())
    assert 0 < differing < 500
    assert stages.pack(tiny, trained["model"], [])["code"] == 0
    verdict = stages.serve(tiny)
    assert (verdict["wrong"], verdict["equal"]) == (differing, 2000 - differing)
    result = {"set": "pipelines", "case": "1", "status": "packed", "answers": verdict, "code": "", "sentence": ""}
    assert report.is_wrong(result)
    assert "WRONG: packed, and answered otherwise than the model does (1)" in report.terminal(
        {"pipelines": [result]}, "", False
    )


def answers_of(model: Any, directory: Path) -> Any:
    return model.predict(joblib.load(directory / "rows.pickle"))


@pytest.mark.parametrize(
    ("call", "wanted", "output", "answered", "verdict"),
    [
        ("predict", np.array([True]), "label", True, EQUAL),
        ("predict", np.array([True]), "label", 1, WRONG),
        ("predict", np.array([1]), "label", 1, EQUAL),
        ("predict", np.array([1]), "label", True, WRONG),
        ("predict", np.array([1]), "label", 1.0, WRONG),
        ("predict", np.array([1]), "label", "1", WRONG),
        ("predict", np.array(["ja"]), "label", "ja", EQUAL),
        ("predict", np.array(["ja"]), "label", "no", WRONG),
        ("predict", np.array([2.0]), "prediction", 2.0001, EQUAL),
        ("predict", np.array([2.0]), "prediction", 2.001, WRONG),
        ("predict", np.array([2e6]), "prediction", 2e6 + 100, EQUAL),
        ("predict", np.array([2e6]), "prediction", 2e6 + 400, WRONG),
        ("predict", np.array([np.nan]), "prediction", None, EQUAL),
        ("predict", np.array([1.0]), "prediction", None, WRONG),
        ("predict", np.array([[1, 0]]), "label", [1, 0], EQUAL),
        ("predict", np.array([[1, 0]]), "label", [0, 1], WRONG),
        ("transform", np.array([[1, 0]]), "transformed", [1.0, 0.0], EQUAL),
        ("transform", np.array([[1, 0]]), "transformed", [1.0], WRONG),
        ("predict", np.array([1.0]), "another name", 1.0, EQUAL),
        ("predict", np.array([1.0]), "another name", 3.0, WRONG),
    ],
)  # fmt: skip
def test_answer_is_equal_only_in_value_and_type(call, wanted, output, answered, verdict):
    found = ask([{output: answered}], {call: wanted})
    assert {kind: number for kind, number in found.items() if number} == verdict


def test_case_of_which_a_call_is_answered_by_no_output_is_not_counted_equal():
    wanted = {"predict": np.array([1]), "predict_proba": np.array([[0.1, 0.9]])}
    verdict = verdict_of([{"label": 1}], wanted)
    assert verdict.lacks == ["predict_proba"]
    assert report.kind_of({"status": "packed", "answers": asdict(verdict)}) == "incomplete"


def test_answers_of_several_targets_may_be_an_output_each():
    wanted = {"predict": np.array([[1, 5], [0, 6]])}
    assert ask([{"x": 1, "y": 5}, {"x": 0, "y": 6}], wanted)["equal"] == 2
    assert verdict_of([{"x": 1}, {"x": 0}], wanted).lacks == ["predict"]


def test_row_that_is_refused_is_found_in_its_batch_and_counted():
    found = ask([{"label": 1}, 400, {"label": 1}, 500], {"predict": np.array([1, 1, 1, 1])})
    assert found == {"equal": 2, "wrong": 0, "refused": 1, "failed": 1}


def test_row_for_which_the_model_raises_has_to_be_refused():
    raises = np.array([False, True, True])
    found = ask([{"label": 1}, 400, {"label": 1}], {"predict": np.array([1])}, raises)
    assert found == {"equal": 2, "wrong": 1, "refused": 0, "failed": 0}


def ask(given: list[Any], wanted: dict[str, Any], raises: Any = None) -> dict[str, int]:
    """What is counted where the server answers each row with a prediction or a status."""
    verdict = verdict_of(given, wanted, raises)
    return {kind: getattr(verdict, kind) for kind in ("equal", "wrong", "refused", "failed")}


def verdict_of(given: list[Any], wanted: dict[str, Any], raises: Any = None) -> answers.Verdict:

    def post(rows: list[dict[str, Any]]) -> tuple[int, Any]:
        found = [given[row["place"]] for row in rows]
        worst = max((status for status in found if isinstance(status, int)), default=200)
        return worst, {"predictions": found} if worst == 200 else {"error": "no"}

    raises = np.zeros(len(given), bool) if raises is None else raises
    rows = [{"place": place} for place in range(len(given))]
    return judge(post, rows, Expected(wanted, raises, tuple(wanted)), batch=250)


def test_rows_for_which_a_model_raises_are_found_by_halving():
    def predict(frame: Any) -> Any:
        if (frame.a == 3).any():
            raise ValueError("3 is not known")
        return frame.a.to_numpy() * 2

    from pack.case import Case
    from pandas import DataFrame

    rows = DataFrame({"a": [0, 3, 2, 3, 4]})
    found = answers.ask_user(Case("", None, rows, rows, {"predict": predict}))
    assert found.raises.tolist() == [False, True, False, True, False]
    assert found.answers["predict"].tolist() == [0, 4, 8]


def test_case_that_crashes_hangs_or_is_nobodys_to_serve_is_a_result(tiny, monkeypatch):
    monkeypatch.setitem(run.SECONDS, "train", 20)
    assert run.steps("tiny_set", "abort", tiny) == {
        "status": "untrained",
        "sentence": "the process ended with status -6",
    }
    assert run.steps("tiny_set", "apart", tiny) == {"status": "apart", "sentence": "nothing to serve"}
    (tiny / "train.json").unlink()
    monkeypatch.setitem(run.SECONDS, "train", 0.5)
    assert run.steps("tiny_set", "sleep", tiny) == {"status": "untrained", "sentence": "no answer in 0.5 s"}


def test_pages_get_the_table_between_their_marks_and_a_list_of_what_does_not_pack(tmp_path):
    shutil.copy(run.PROJECT / "docs/pack.md", tmp_path)
    before = (tmp_path / "pack.md").read_text()
    refused = {
        "set": "pipelines",
        "case": "7",
        "status": "refused",
        "sentence": "holds a <lambda>",
        "description": "Pipeline",
    }
    good = {"set": "pipelines", "case": "8", "status": "packed", "format": "onnx",
            "conversion": {"converted": True, "native_us": 900, "onnx_us": 10},
            "answers": {"equal": 2000, "wrong": 0, "refused": 0, "failed": 0}}  # fmt: skip
    report.write(tmp_path, {"pipelines": [refused, good]})
    page = (tmp_path / "pack.md").read_text()
    assert "| random everyday pipelines | 2 | 50 % (aim 98 %) | 100 % | 100 % | 900 us, 10 us | - | 0 |" in page
    assert page.split(report.BEGIN)[0] == before.split(report.BEGIN)[0]
    assert page.split(report.END)[1] == before.split(report.END)[1]
    assert "- holds a &lt;lambda>: `7`" in (tmp_path / "pack-refusals.md").read_text()


def test_every_case_of_a_set_has_a_file_of_its_own():
    from pack import boosters, estimators, pipelines

    for module in (boosters, estimators, pipelines):
        names = module.cases(None)
        assert len({run.file_name(name) for name in names}) == len(names) > 100
