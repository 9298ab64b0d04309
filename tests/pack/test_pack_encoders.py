"""What a fitted encoder knows of a column is in the schema: as categories where it takes nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas
import pytest
import yaml
from commands import Result
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from trained import Trained

Invoke = Callable[..., Result]
CITIES, FLOORS = ["Bern", "Genève", "Zürich"], [-1, 0, 3]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:skl2onnx")


def table() -> Any:
    rng = np.random.default_rng(8)
    return pandas.DataFrame({
        "income": rng.normal(3000, 900, 90).round(2), "city": rng.choice(CITIES, 90), "floor": rng.choice(FLOORS, 90),
        "stars": rng.choice([1.0, 2.5], 90),
    })  # fmt: skip


def pack(invoke: Invoke, tmp_path: Path, encoders: list[Any], *options: str, rest: Any = None, wrap: Any = None) -> Any:
    """Packs a pipeline with the encoders, each with its columns, and gives the inputs of model.yaml by name."""
    rows = table()
    chosen = {column for _, columns in encoders if isinstance(columns, list) for column in columns}
    rows = rows[[name for name in rows if name == "income" or name in chosen or rest]]
    steps = [(f"e{place}", encoder, columns) for place, (encoder, columns) in enumerate(encoders)]
    model = make_pipeline(ColumnTransformer([("n", StandardScaler(), ["income"]), *steps]), LogisticRegression())
    model = (wrap(model) if wrap else model).fit(rows, rows.income > 3000)
    Trained(model, {name: rows[name].tolist() for name in rows}, {}).write(tmp_path)
    invoke("pack", "model.joblib", "--name", "m", "--sample", "sample.csv", *options).ok()
    said = yaml.safe_load(Path("models/m/1/model.yaml").read_text())
    return {schema["name"]: schema for schema in said["inputs"]}


@pytest.mark.parametrize(
    ("encoder", "options"), [(OneHotEncoder, []), (OneHotEncoder, ["--no-convert"]), (OrdinalEncoder, ["--ranges"])]
)
def test_a_strict_encoders_values_are_the_categories_and_no_other_is_taken(
    invoke: Invoke, tmp_path: Path, encoder: Any, options: list[str]
) -> None:
    inputs = pack(invoke, tmp_path, [(encoder(), ["city", "floor"])], *options)
    assert inputs["city"]["categories"] == CITIES
    assert (inputs["floor"]["datatype"], inputs["floor"]["categories"]) == ("INT64", FLOORS)
    assert "categories" not in inputs["income"]
    row = {"income": 3000.5, "city": "Bern", "floor": 3}
    assert invoke("predict", "models/m/1", "--data", json.dumps(row)).code == 0
    for wrong, said in (({"city": "Paris"}, "city must be one of Bern, Genève, Zürich"),
                        ({"floor": 2}, "floor must be one of -1, 0, 3, not 2.")):  # fmt: skip
        refused = invoke("predict", "models/m/1", "--data", json.dumps(row | wrong))
        assert refused.code == 1
        assert said in refused.err


@pytest.mark.parametrize(
    ("encoder", "kept"),
    [(OneHotEncoder(handle_unknown="ignore"), "onnx"),
     (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=2), "skops"),  # its ONNX form fails on others
     (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), "onnx")],
)  # fmt: skip
def test_an_encoder_that_takes_others_is_told_in_the_description(
    invoke: Invoke, tmp_path: Path, encoder: Any, kept: str
) -> None:
    inputs = pack(invoke, tmp_path, [(encoder, ["city"])])
    assert "categories" not in inputs["city"]
    said = "The model knows Bern, Genève, Zürich; any other value counts as unknown."
    assert inputs["city"]["description"] == said
    row = {"income": 3000.5, "city": "Paris"}
    (got,) = invoke("predict", "models/m/1", "--data", json.dumps(row), "--json").ok().json
    wanted = joblib.load("model.joblib").predict_proba(pandas.DataFrame([row]))
    np.testing.assert_allclose(got["probabilities"], wanted[0], atol=1e-4)
    assert yaml.safe_load(Path("models/m/1/model.yaml").read_text())["format"] == kept


def test_where_one_of_two_encoders_is_strict_so_is_the_model(invoke: Invoke, tmp_path: Path) -> None:
    encoders = [(OrdinalEncoder(), ["city"]), (OneHotEncoder(handle_unknown="ignore"), ["city"])]
    inputs = pack(invoke, tmp_path, encoders, "--no-convert")
    assert inputs["city"]["categories"] == CITIES


def test_fractions_cannot_be_categories_and_are_told(invoke: Invoke, tmp_path: Path) -> None:
    inputs = pack(invoke, tmp_path, [(OneHotEncoder(), ["stars"])])
    assert inputs["stars"]["description"] == "One of 1.0, 2.5."


def test_encoders_are_found_in_pipelines_searches_and_by_a_selector(invoke: Invoke, tmp_path: Path) -> None:
    inner = make_pipeline("passthrough", OneHotEncoder())
    encoders = [(inner, make_column_selector("^city$")), (OneHotEncoder(), [False, False, True, False])]

    def search(model: Any) -> Any:
        return GridSearchCV(model, {"logisticregression__C": [0.5, 1.0]}, cv=2)

    inputs = pack(invoke, tmp_path, encoders, "--allow-pickle", rest=True, wrap=search)
    assert (inputs["city"]["categories"], inputs["floor"]["categories"]) == (CITIES, FLOORS)


def test_a_column_that_another_step_changes_first_has_no_categories(invoke: Invoke, tmp_path: Path) -> None:
    capitals = make_pipeline(FunctionTransformer(np.abs, feature_names_out="one-to-one"), OneHotEncoder())
    inputs = pack(invoke, tmp_path, [(capitals, ["floor"])], "--allow-pickle")
    assert "categories" not in inputs["floor"]
    assert "description" not in inputs["floor"]


def test_columns_of_one_array_are_described(invoke: Invoke, tmp_path: Path) -> None:
    rows = table()[["floor", "stars"]].to_numpy()
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(rows, np.arange(90) % 2)
    Trained(model, {"floor": rows[:, 0].tolist(), "stars": rows[:, 1].tolist()}, {}).write(tmp_path)
    invoke("pack", "model.joblib", "--name", "m", "--sample", "sample.csv").ok()
    (features,) = yaml.safe_load(Path("models/m/1/model.yaml").read_text())["inputs"]
    told = [feature["description"] for feature in features["features"]]
    assert told == ["One of -1.0, 0.0, 3.0.", "One of 1.0, 2.5."]
