"""`pack --one-row`: a model of any format is asked for each row alone, when it is packed and when it is served."""

from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest
import yaml
from commands import Result
from modelhost.packing.errors import PackError
from onnx_models import FLOAT, Packed, make, node
from sklearn.linear_model import LogisticRegression

Invoke = Callable[..., Result]
# A tokenizer, for one, whose answer is as long as its text: more rows than one would be an array of no shape.
ALONE = """
class Model:
    def predict(self, inputs):
        if len(inputs["n"]) != 1:
            raise ValueError(f"{len(inputs['n'])} rows, and I take one")
        (n,) = inputs["n"]
        return {"out": [list(range(n))]}
"""


@pytest.fixture
def alone(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(ALONE)
    (tmp_path / "s.csv").write_text("n\n1\n2\n3\n")


@pytest.mark.usefixtures("alone")
def test_a_class_that_works_with_one_row_alone_is_served_row_by_row(invoke: Invoke) -> None:
    options = ("m.py", "--name", "m", "--sample", "s.csv")
    assert "3 rows, and I take one" in invoke("pack", *options).err
    invoke("pack", *options, "--one-row").ok()
    manifest = yaml.safe_load(Path("models/m/1/model.yaml").read_text())
    assert (manifest["rows"], manifest["outputs"][0]["shape"]) == ("one", [-1])
    assert "batching" not in manifest
    invoke("check", "models/m/1").ok()
    assert invoke("predict", "models/m/1", "--data", '{"n": 4}').ok().json == {"out": [0, 1, 2, 3]}
    two = invoke("predict", "models/m/1", "--data", '[{"n": 2}, {"n": 2}]', "--json").ok().json
    assert two == [{"out": [0, 1]}, {"out": [0, 1]}]


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("other", ["--batching", "--no-batching"])
def test_rows_that_are_asked_alone_share_no_call(invoke: Invoke, other: str) -> None:
    result = invoke("pack", "m.py", "--name", "m", "--sample", "s.csv", "--one-row", other)
    if other == "--no-batching":
        result.ok()
        return
    assert result.code == 1
    assert "--one-row and --batching contradict each other: give one" in result.err
    assert not Path("models").exists()


def centred() -> object:
    """What subtracts the mean of all rows in the call."""
    nodes = [node("ReduceMean", "x axes", "mean", keepdims=1), node("Sub", "x mean", "y")]
    return make(nodes, [("x", FLOAT, ["N", 2])], [("y", FLOAT, ["N", 2])], {"axes": np.array([0])})


def test_an_onnx_model_that_mixes_rows_is_asked_for_each_alone(tmp_path: Path) -> None:
    sample = {"x": np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)}
    with pytest.raises(PackError, match="depends on the rows sent with it"):
        Packed(tmp_path, centred(), sample)
    packed = Packed(tmp_path, centred(), sample, one_row=True)
    assert packed.bundle.manifest.rows == "one"
    assert packed.ask(x=[[1.0, 2.0], [3.0, 4.0]])["y"] == [[0.0, 0.0], [0.0, 0.0]]


def test_an_onnx_model_with_its_rows_elsewhere_cannot_be_asked_so(tmp_path: Path) -> None:
    model = make([node("Neg", "x", "y")], [("x", FLOAT, [2, "rows"])], [("y", FLOAT, [2, "rows"])])
    sample = {"x": np.ones((3, 2), np.float32)}
    with pytest.raises(PackError, match="--one-row: the file does not have its rows as first dimension"):
        Packed(tmp_path, model, sample, one_row=True)


@pytest.mark.parametrize("more", [(), ("--no-convert",)], ids=["onnx", "skops"])
def test_an_estimator_is_asked_for_each_row_alone_in_the_form_that_it_is_kept_in(
    invoke: Invoke, more: tuple[str, ...]
) -> None:
    rows = np.random.default_rng(0).normal(size=(80, 2))
    model = LogisticRegression().fit(rows, rows[:, 0] > 0)
    joblib.dump(model, "m.joblib")
    np.savetxt("s.csv", rows, delimiter=",", header="a,b", comments="")
    found = invoke("pack", "m.joblib", "--name", "m", "--sample", "s.csv", "--one-row", "--json", *more).ok().json
    assert found["format"] == ("skops" if more else "onnx")
    assert "--one-row: each row of a request is a call of its own" in found["notes"]
    assert yaml.safe_load(Path("models/m/1/model.yaml").read_text())["rows"] == "one"
    answers = invoke("predict", "models/m/1", "--file", "s.csv", "--json").ok().json
    assert [row["label"] for row in answers] == model.predict(rows).tolist()
