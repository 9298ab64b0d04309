"""What a folder of MLflow's says that it needs is locked where the model stays Python; MLflow wrote the folders."""

import importlib.metadata
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from commands import Result
from modelhost.bundle.lock_files import LOCKS, image_pins, read_pins
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

mlflow = pytest.importorskip("mlflow")
Invoke = Callable[..., Result]
ROWS = pd.DataFrame(np.random.default_rng(5).normal(size=(60, 2)), columns=["age", "income"])
TARGET = (ROWS.age > ROWS.income).astype(int)
# A step that no server has, which needs a package that no server has either.
STEP = """
import iniconfig
from sklearn.base import BaseEstimator, TransformerMixin


class Doubled(TransformerMixin, BaseEstimator):
    def fit(self, rows, target=None):
        self.fitted_ = iniconfig.__name__
        return self

    def transform(self, rows):
        return rows * 2
"""
SERVER = image_pins({name: (LOCKS / f"{name}.lock").read_text() for name in ("server", "pickle")})
HERE = f"iniconfig=={importlib.metadata.version('iniconfig')}"


@pytest.fixture(autouse=True)
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of STEP, imported as the trainer does."""
    monkeypatch.chdir(tmp_path)
    Path("training").mkdir()
    Path("training/doubling.py").write_text(STEP)
    monkeypatch.syspath_prepend("training")
    yield importlib.import_module("doubling")
    sys.modules.pop("doubling", None)


def save(model: Any, requirements: list[str], **options: Any) -> Any:
    """The fitted model, saved by MLflow as the folder `m`."""
    fitted = model.fit(ROWS, TARGET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("mlflow.sklearn")
        mlflow.sklearn.save_model(
            fitted, "m", input_example=ROWS.head(9), pip_requirements=requirements,
            serialization_format=options.pop("serialization_format", "cloudpickle"), **options,
        )  # fmt: skip
    for name in ("doubling", "training"):
        sys.modules.pop(name, None)
    return fitted


def pickled(steps: Any, *requirements: str) -> Any:
    model = make_pipeline(steps.Doubled(), LogisticRegression())
    return save(model, list(requirements), code_paths=["training/doubling.py"])


def manifest() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path("models/m/1/model.yaml").read_text())
    return found


def locked() -> list[str]:
    return [f"{pin.name}=={pin.version}" for pin in read_pins(Path("models/m/1/requirements.lock").read_text())]


def test_a_pickle_brings_the_requirements_of_its_folder(invoke: Invoke, steps: Any) -> None:
    model = pickled(steps, "scikit-learn", "iniconfig", "numpy==1.26.4")
    assert "mlflow==" in Path("m/requirements.txt").read_text()
    found = invoke("pack", "m", "--name", "m", "--allow-pickle", "--json").ok().json
    assert found["format"] == "pickle"
    assert locked() == [HERE]
    assert manifest()["requirements"] == "requirements.lock"
    notes = "\n".join(found["notes"])
    assert "requirements of m/requirements.txt: iniconfig; give --requirements to choose others" in notes
    has = SERVER["numpy"].line
    assert f"m/requirements.txt asks for numpy==1.26.4, and the server has {has}: it is served with that" in notes
    assert f"with {HERE}" in invoke("check", "models/m/1", "--allow-pickle").ok_if_not_slow().out
    asked = ["--data", ROWS.to_json(orient="records"), "--allow-pickle", "--json"]
    answers = invoke("predict", "models/m/1", *asked).ok().json
    assert [row["label"] for row in answers] == model.predict(ROWS).tolist()


def test_requirements_that_are_given_go_before_the_folders(invoke: Invoke, steps: Any) -> None:
    pickled(steps, "no-such-package==1.0")
    Path("own.txt").write_text("iniconfig>=1\n")
    invoke("pack", "m", "--name", "m", "--allow-pickle", "--requirements", "own.txt").ok()
    assert "From own.txt" in Path("models/m/1/requirements.lock").read_text()
    assert locked() == [HERE]


def test_what_only_mlflow_reads_or_the_server_has_is_not_locked(invoke: Invoke) -> None:
    """Without an index: there is nothing to resolve."""
    from steps import Waves

    fitted = make_pipeline(Waves(), LogisticRegression())
    save(fitted, ["cloudpickle", "scikit-learn", f"numpy=={SERVER['numpy'].version}"], code_paths=None)
    code = Path(__file__).with_name("steps.py")
    found = invoke("pack", "m", "--name", "m", "--allow-pickle", "--with", code, "--json").ok().json
    assert "requirements" not in manifest()
    assert not any("requirements" in note for note in found["notes"])


def test_a_model_that_becomes_onnx_needs_nothing_of_its_folder(invoke: Invoke) -> None:
    save(LogisticRegression(), ["numpy==1.26.4", "no-such-package==1.0"])
    found = invoke("pack", "m", "--name", "m", "--json").ok().json
    assert found["format"] == "onnx"
    assert "requirements" not in manifest()
    assert not any("numpy" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("git+https://example.org/emoji.git", "m/requirements.txt has the line 'git+https://example.org/emoji.git'"),
        ("--index-url https://example.org/simple", "m/requirements.txt has the option '--index-url'"),
        ("iniconfig==0.0.1", "m/requirements.txt cannot be installed beside what the server has: "),
    ],
)
def test_what_cannot_be_locked_is_refused_with_what_to_do(invoke: Invoke, steps: Any, line: str, said: str) -> None:
    pickled(steps, "scikit-learn")
    Path("m/requirements.txt").write_text(f"scikit-learn\n{line}\n")
    result = invoke("pack", "m", "--name", "m", "--allow-pickle")
    assert result.code == 1
    assert said in result.err
    instead = "give --requirements with what the model needs, or remove m/requirements.txt if it needs nothing more"
    assert f"It came with the model: {instead}" in result.err
    assert not Path("models").exists()


def test_the_folders_constraints_hold(invoke: Invoke, steps: Any) -> None:
    pickled(steps, "scikit-learn", "iniconfig")
    Path("m/constraints.txt").write_text("iniconfig<0.1\n")
    result = invoke("pack", "m", "--name", "m", "--allow-pickle")
    assert "m/requirements.txt cannot be installed beside what the server has: " in result.err
    assert "iniconfig<0.1" in result.err


def test_a_class_that_asks_mlflow_gets_it_without_its_server(invoke: Invoke) -> None:
    """MLflow's own needs another Gunicorn than ours."""
    model = save(LogisticRegression(), ["scikit-learn", "skops"], serialization_format="skops")
    Path("model.py").write_text(
        "import mlflow.pyfunc, pandas as pd\n\n\nclass Model:\n    def load(self, directory):\n"
        "        self.model = mlflow.pyfunc.load_model(str(directory / 'm'))\n\n    def predict(self, inputs):\n"
        "        return {'label': self.model.predict(pd.DataFrame(inputs))}\n"
    )
    ROWS.to_csv("rows.csv", index=False)
    invoke("pack", "model.py", "--with", "m", "--name", "m", "--sample", "rows.csv").ok()
    assert f"mlflow-skinny=={mlflow.__version__}" in locked()
    assert not any(line.startswith(("mlflow==", "gunicorn==26")) for line in locked())
    answers = invoke("predict", "models/m/1", "--file", "rows.csv", "--json").ok().json
    assert [row["label"] for row in answers] == model.predict(ROWS).tolist()


def test_a_class_that_reads_the_folder_brings_its_requirements(invoke: Invoke) -> None:
    """But for MLflow, which it does not import."""
    save(LogisticRegression(), ["iniconfig"])
    Path("model.py").write_text(
        "import iniconfig, joblib\n\n\nclass Model:\n    def load(self, directory):\n"
        "        self.model = joblib.load(directory / 'm' / 'model.pkl')\n\n    def predict(self, inputs):\n"
        "        import pandas\n        return {'label': self.model.predict(pandas.DataFrame(inputs))}\n"
    )
    ROWS.to_csv("rows.csv", index=False)
    invoke("pack", "model.py", "--with", "m", "--name", "m", "--sample", "rows.csv").ok()
    assert locked() == [HERE]
    assert manifest()["libraries"] == ["pandas", "scikit-learn"]
