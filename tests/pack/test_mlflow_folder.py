"""Model folders as MLflow writes them, without MLflow on the way; and folders that are none."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost
import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
import yaml
from commands import Result
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression, LogisticRegression

Invoke = Callable[..., Result]

RNG = np.random.default_rng(5)
ROWS = pd.DataFrame({"age": RNG.uniform(18, 90, 80), "income": RNG.uniform(0, 9, 80)}).round(2)
TARGET = (ROWS.age / 10 > ROWS.income).astype(int)
SIGNATURE = {
    "inputs": json.dumps([{"type": "double", "name": name, "required": True} for name in ROWS]),
    "outputs": json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]),
}
EXAMPLE = {"dataframe_split": {"columns": list(ROWS), "data": ROWS.head(20).to_numpy().tolist()}}


def folder(flavors: dict[str, Any], example: Any = EXAMPLE, signature: Any = SIGNATURE, **said: Any) -> Path:
    """A folder `m` as mlflow.<library>.save_model writes it, but for the model file."""
    Path("m").mkdir(exist_ok=True)
    mlmodel = {
        "flavors": {"python_function": {"loader_module": "mlflow"}, **flavors},
        "mlflow_version": "3.17.2",
        **said,
    }
    if signature:
        mlmodel["signature"] = signature
    if example is not None:
        Path("m/serving_input_example.json").write_text(json.dumps(example))
        info = {"artifact_path": "input_example.json", "serving_input_path": "serving_input_example.json"}
        mlmodel["saved_input_example_info"] = info
    Path("m/MLmodel").write_text(yaml.safe_dump(mlmodel))
    return Path("m")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def labels(invoke: Invoke, output: str = "label", *options: str) -> list[Any]:
    rows = json.dumps(ROWS.to_dict("records"))
    return [row[output] for row in invoke("predict", "models/m/1", "--data", rows, "--json", *options).ok().json]


def scikit(suffix: str) -> tuple[dict[str, Any], Any]:
    model = LogisticRegression().fit(ROWS, TARGET)
    Path("m").mkdir()
    file = Path("m/model" + suffix)
    if suffix == ".skops":
        skops.io.dump(model, file)
    else:
        joblib.dump(model, file)
    return {"sklearn": {"pickled_model": file.name, "code": None}}, model


def boosted(library: str) -> tuple[dict[str, Any], Any]:
    Path("m").mkdir()
    if library == "xgboost":
        model: Any = xgboost.XGBClassifier(n_estimators=5).fit(ROWS, TARGET)
        model.save_model("m/model.ubj")
        return {"xgboost": {"data": "model.ubj", "model_class": "xgboost.sklearn.XGBClassifier"}}, model
    if library == "catboost":
        model = catboost.CatBoostClassifier(iterations=5, verbose=False, allow_writing_files=False).fit(ROWS, TARGET)
        model.save_model("m/model.cb")
        return {"catboost": {"data": "model.cb", "model_type": "CatBoostClassifier", "save_format": "cbm"}}, model
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(ROWS, TARGET)
    joblib.dump(model, "m/model.pkl")
    return {"lightgbm": {"data": "model.pkl", "model_class": "lightgbm.sklearn.LGBMClassifier"}}, model


@pytest.mark.parametrize("suffix", [".pkl", ".skops"])
def test_a_folder_of_scikit_learn_brings_its_sample_and_names(invoke: Invoke, suffix: str) -> None:
    flavors, model = scikit(suffix)
    invoke("pack", folder(flavors), "--name", "m").ok()
    assert labels(invoke) == model.predict(ROWS).tolist()
    manifest = yaml.safe_load(Path("models/m/1/model.yaml").read_text())
    assert manifest["origin"]["sample"] == "serving_input_example.json"
    assert manifest["origin"]["file"] == "m"


@pytest.mark.parametrize("library", ["lightgbm", "xgboost", "catboost"])
def test_a_folder_of_a_booster_answers_as_its_estimator(invoke: Invoke, library: str) -> None:
    flavors, model = boosted(library)
    invoke("pack", folder(flavors), "--name", "m").ok()
    assert labels(invoke) == np.ravel(model.predict(ROWS)).tolist()


def test_a_booster_in_its_own_text(invoke: Invoke) -> None:
    Path("m").mkdir()
    booster = lightgbm.train({"verbose": -1}, lightgbm.Dataset(ROWS, TARGET), 5)
    booster.save_model("m/model.lgb")
    invoke(
        "pack", folder({"lightgbm": {"data": "model.lgb", "model_class": "lightgbm.basic.Booster"}}), "--name", "m"
    ).ok()
    (output,) = yaml.safe_load(Path("models/m/1/model.yaml").read_text())["outputs"]
    np.testing.assert_allclose(labels(invoke, output["name"]), booster.predict(ROWS), rtol=1e-4)


def test_a_folder_of_onnx_with_tensors(invoke: Invoke) -> None:
    Path("m").mkdir()
    rows = ROWS.to_numpy(np.float32)
    model = to_onnx(LinearRegression().fit(rows, TARGET), rows[:1], target_opset=18)
    Path("m/model.onnx").write_bytes(model.SerializeToString())
    signature = {
        "inputs": json.dumps([{"type": "tensor", "name": "X", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}])
    }
    made = folder({"onnx": {"data": "model.onnx"}}, {"inputs": {"X": rows[:5].tolist()}}, signature)
    invoke("pack", made, "--name", "m").ok()
    answers = invoke("predict", "models/m/1", "--data", json.dumps({"X": [30, 4]}), "--json").ok().json
    assert list(answers[0]) == ["variable"]


@pytest.mark.parametrize(
    "example",
    [
        {"dataframe_records": ROWS.head(9).to_dict("records")},
        {"columns": list(ROWS), "data": ROWS.head(9).to_numpy().tolist()},
        {"inputs": {name: ROWS[name].head(9).tolist() for name in ROWS}},
        {"dataframe_split": {"index": [0, 1], "columns": list(ROWS), "data": [[40, 3], [50, 9]]}},
    ],
)
def test_an_input_example_in_each_of_mlflows_forms(invoke: Invoke, example: Any) -> None:
    flavors, model = scikit(".pkl")
    invoke("pack", folder(flavors, example), "--name", "m").ok()
    assert labels(invoke) == model.predict(ROWS).tolist()


def test_a_sample_that_is_given_goes_before_the_folders(invoke: Invoke) -> None:
    flavors, _ = scikit(".pkl")
    ROWS.to_csv("rows.csv", index=False)
    invoke("pack", folder(flavors, {"inputs": "not rows"}), "--name", "m", "--sample", "rows.csv").ok()
    assert json.loads(Path("models/m/1/statistics.json").read_text())["rows"] == len(ROWS)


def test_modules_of_the_folder_come_along(invoke: Invoke) -> None:
    Path("m/code").mkdir(parents=True)
    Path("m/code/ratios.py").write_text(
        "from sklearn.base import BaseEstimator\n\n\nclass Ratio(BaseEstimator):\n    def fit(self, X, y=None):\n"
        "        self.fitted_ = True\n        return self\n\n    def predict(self, X):\n        return X[:, 0] / (X[:, 1] + 1)\n"  # noqa: E501
    )
    sys.path.insert(0, "m/code")
    try:
        import ratios  # type: ignore[import-not-found]

        joblib.dump(ratios.Ratio().fit(ROWS), "m/model.pkl")
    finally:
        sys.path.remove("m/code")
        del sys.modules["ratios"]
    shutil.rmtree("m/code/__pycache__", ignore_errors=True)
    made = folder({"sklearn": {"pickled_model": "model.pkl", "code": "code"}})
    invoke("pack", made, "--name", "m", "--allow-pickle").ok()
    assert "ratios.py" in yaml.safe_load(Path("models/m/1/model.yaml").read_text())["files"]
    np.testing.assert_allclose(labels(invoke, "prediction", "--allow-pickle"), ROWS.age / (ROWS.income + 1))


@pytest.mark.parametrize(
    ("flavors", "said"),
    [
        ({"pytorch": {"model_data": "data"}}, "torch.onnx.export(model"),
        ({"transformers": {}}, "mlflow.pyfunc.load_model(str(directory / \"m\"))"),
        ({}, "has no flavour that can be packed as it is, but python_function"),
        ({"sklearn": {"pickled_model": "../secret.pkl"}}, "which is not a file of the folder"),
        ({"sklearn": {"pickled_model": "nosuch.pkl"}}, "sklearn.pickled_model is 'nosuch.pkl', which is not a file"),
        ({"sklearn": {}}, "sklearn.pickled_model is None"),
        ({"xgboost": {"data": "model.ubj", "model_class": "xgboost.sklearn.Nosuch"}}, "xgboost has no class Nosuch"),
        ({"xgboost": {"data": "model.ubj", "model_class": "xgboost.sklearn.XGBClassifier"}}, "model.ubj cannot be read"),  # noqa: E501
        ({"onnx": {"data": "."}}, "is a folder, not the model file of onnx"),
    ],
)  # fmt: skip
def test_what_cannot_be_opened_is_told_with_the_way_out(invoke: Invoke, flavors: dict[str, Any], said: str) -> None:
    made = folder(flavors)
    Path("secret.pkl").write_bytes(b"")
    Path("m/model.ubj").write_bytes(b"{")
    result = invoke("pack", made, "--name", "m")
    assert result.code == 1
    assert said in result.err


@pytest.mark.parametrize("text", ["", "[]", "flavors: 3", "flavors: {a: [", "x: 1", "\0", "flavors: {sklearn: 1}"])
def test_an_mlmodel_of_something_else_is_told(invoke: Invoke, text: str) -> None:
    folder({})
    Path("m/MLmodel").write_text(text)
    result = invoke("pack", "m", "--name", "m")
    assert result.code == 1
    assert "fault of modelhost" not in result.err
    assert "error: m" in result.err


@pytest.mark.parametrize(
    "example", [None, {"inputs": "x"}, {"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, [], 3]
)
def test_a_folder_without_rows_asks_for_a_sample(invoke: Invoke, example: Any) -> None:
    flavors, _ = scikit(".pkl")
    result = invoke("pack", folder(flavors, example), "--name", "m")
    assert result.code == 1
    assert "--sample" in result.err
    assert "fault of modelhost" not in result.err


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("config.json", 'pipeline("text-classification", model=str(directory / "odd"))'),
        ("config.cfg", 'spacy.load(directory / "odd")'),
        ("saved_model.pb", "tf.saved_model.load"),
        ("weights.bin", 'what reads directory / "odd"'),
    ],
)
def test_a_bare_folder_is_refused_with_the_class_that_would_serve_it(invoke: Invoke, file: str, said: str) -> None:
    Path("odd").mkdir()
    Path("odd", file).write_text("{}")
    Path("rows.csv").write_text("a\n1\n")
    result = invoke("pack", "odd", "--name", "m", "--sample", "rows.csv")
    assert result.code == 1
    assert said in result.err
    assert "modelhost pack model.py --with odd --name NAME" in result.err
    source = result.err.split("\n\n")[1:-1]
    compile("\n".join(line.removeprefix("    ") for line in "\n\n".join(source).split("\n")), "shown", "exec")


def test_a_folder_that_mlflow_itself_wrote(invoke: Invoke) -> None:
    mlflow = pytest.importorskip("mlflow")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("mlflow.sklearn")
        model = LogisticRegression().fit(ROWS, TARGET)
        mlflow.sklearn.save_model(model, "m", input_example=ROWS.head(9), pip_requirements=["scikit-learn"])
    invoke("pack", "m", "--name", "m").ok()
    assert labels(invoke) == model.predict(ROWS).tolist()


def test_a_file_needs_a_sample(invoke: Invoke) -> None:
    Path("m.py").write_text("")
    result = invoke("pack", "m.py", "--name", "m")
    assert result.code == 2
    assert "Missing option '--sample'" in result.err
