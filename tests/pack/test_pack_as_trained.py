"""The reference is the model's own `predict`, with the types that it was trained on, and asked anew each time."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from asking import Asked, assert_as_estimator
from modelhost.packing.errors import PackError
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler

OWN = """
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline


class Thresholded(Pipeline):
    def predict(self, rows):
        return (self.predict_proba(rows)[:, 1] > 0.8).astype(int)


class OfLogs:
    def fit(self, rows, target):
        self.best_estimator_ = Ridge().fit(rows, np.log1p(target))
        return self

    def predict(self, rows):
        return np.expm1(self.best_estimator_.predict(rows))


class Rounded(GridSearchCV):
    def predict(self, rows):
        return np.round(super().predict(rows), 1)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the trainer's own classes."""
    (tmp_path / "own_classes.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("own_classes", None)
    import own_classes

    return own_classes


def numbers(rows: int = 250) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(21).normal(size=(rows, 2)), columns=["a", "b"]).round(3)


@pytest.mark.parametrize("kind", ["Thresholded", "OfLogs", "Rounded"])
def test_a_class_with_its_own_predict_answers_by_it(tmp_path: Path, own: Any, kind: str) -> None:
    rows = numbers()
    model: Any = {
        "Thresholded": lambda: own.Thresholded([("s", StandardScaler()), ("l", LogisticRegression())]),
        "OfLogs": own.OfLogs,
        "Rounded": lambda: own.Rounded(Ridge(), {"alpha": [0.1, 1.0]}, cv=2),
    }[kind]()
    target = (rows.a + rows.b > 0).astype(int) if kind == "Thresholded" else np.exp(rows.a + 3)
    model.fit(rows, target)
    asked = Asked(tmp_path, model, rows, allow_pickle=True, extra=(tmp_path / "own_classes.py",))
    output = "label" if kind == "Thresholded" else "prediction"
    answered = [row[output] for row in asked.predict(rows)]
    np.testing.assert_allclose(answered, model.predict(rows), rtol=1e-4)


def test_a_search_of_scikit_learn_is_its_best_estimator(tmp_path: Path) -> None:
    rows = numbers()
    model = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2).fit(rows, rows.a)
    asked = Asked(tmp_path, model, rows)
    assert "the best estimator of a GridSearchCV, with which it predicts" in asked.found["notes"]
    assert_as_estimator(asked, model.best_estimator_, rows)


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize("kind", ["voting", "regressor", "classifier"])
def test_a_step_that_writes_into_its_input_spoils_no_answer(tmp_path: Path, kind: str, framed: bool) -> None:
    rows = numbers()
    steps = make_pipeline(RobustScaler(copy=False), KNeighborsClassifier(3))
    model: Any = {
        "voting": VotingClassifier([("k", steps), ("f", RandomForestClassifier(5, random_state=0))], voting="soft"),
        "regressor": make_pipeline(StandardScaler(copy=False), KNeighborsRegressor(3)),
        "classifier": steps,
    }[kind]
    given = rows if framed else rows.to_numpy()
    target = rows.a * rows.b if kind == "regressor" else np.where(rows.a * rows.b > 0.1, "up", "down")
    model.fit(given.copy(), target)
    asked = Asked(tmp_path, model, rows, convert=False)
    answered = asked.predict(rows)
    name = "prediction" if kind == "regressor" else "label"
    assert [row[name] for row in answered] == pytest.approx(model.predict(given.copy()).tolist())
    if kind != "regressor":
        own = model.predict_proba(given.copy())
        np.testing.assert_allclose([row["probabilities"] for row in answered], own, atol=1e-6)


@pytest.mark.parametrize("framed", [True, False])
def test_an_encoder_of_float32_gets_float32(tmp_path: Path, framed: bool) -> None:
    random = np.random.default_rng(22)
    rows = pd.DataFrame({"dose": random.choice([0.1, 0.2, 0.3], 200), "size": random.choice([1.5, 2.7], 200)})
    trained: Any = rows.astype("float32") if framed else rows.to_numpy(np.float32)
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge()).fit(trained, (rows.dose == 0.1) * 10)
    assert_as_estimator(Asked(tmp_path, model, rows), model, rows, trained)


@pytest.mark.parametrize("between", [FunctionTransformer(feature_names_out="one-to-one"), "fill", "both", "select"])
def test_codes_of_digits_stay_text_behind_steps_that_keep_them(tmp_path: Path, between: Any) -> None:
    random = np.random.default_rng(23)
    rows = pd.DataFrame({"zip": random.choice(["8001", "3000", "1200"], 200), "size": random.normal(size=200).round(1)})
    fill = SimpleImputer(strategy="constant", fill_value="?")
    encoder: Any = OneHotEncoder(handle_unknown="ignore")
    if between == "select":
        chain = [make_column_transformer((OrdinalEncoder(), ["zip"]), remainder="passthrough"), VarianceThreshold()]
    else:
        steps = {"fill": [fill], "both": [fill, FunctionTransformer()]}.get(between, [between])
        chain = [make_column_transformer((make_pipeline(*steps, encoder), ["zip"]), remainder="passthrough")]
    model = make_pipeline(*chain, Ridge()).fit(rows, (rows.zip == "3000") * 10.0)
    asked = Asked(tmp_path, model, rows)
    assert asked.column("zip")["datatype"] == "BYTES"
    assert_as_estimator(asked, model, rows)


def test_numbers_too_large_for_a_float_are_not_merged(tmp_path: Path) -> None:
    random = np.random.default_rng(24)
    ids = 2**53 + 1 + np.arange(5)
    rows = pd.DataFrame({"shop": ids[random.integers(0, 5, 200)], "size": random.normal(50, 9, 200).round(1)})
    encoded = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["shop"]), remainder="passthrough")
    model = make_pipeline(encoded, Ridge()).fit(rows, (rows.shop - 2**53) * 5.0)
    for convert in (True, False):
        directory = tmp_path / str(convert)
        directory.mkdir()
        asked = Asked(directory, model, rows, convert=convert)
        assert asked.column("shop")["datatype"] == "INT64"
        assert_as_estimator(asked, model, rows)


def test_a_data_frame_of_numbers_and_booleans_is_transformed_to_numbers(tmp_path: Path) -> None:
    random = np.random.default_rng(25)
    rows = pd.DataFrame({"town": random.choice(["Bern", "Basel"], 90), "floor": random.integers(0, 9, 90),
                         "size": random.normal(size=90).round(2), "own": random.random(90) < 0.5})  # fmt: skip
    parts = make_column_transformer((OrdinalEncoder(), ["town"]), (StandardScaler(), ["size"]), remainder="passthrough")
    model = parts.set_output(transform="pandas").fit(rows)
    answered = Asked(tmp_path, model, rows).predict(rows)
    expected = model.transform(rows).astype(float).to_numpy()
    np.testing.assert_allclose([row["transformed"] for row in answered], expected, atol=1e-6)


@pytest.mark.parametrize("encoder", [OneHotEncoder(handle_unknown="ignore"), OrdinalEncoder()])
def test_a_date_is_refused_in_a_sentence_that_names_the_column(tmp_path: Path, encoder: Any) -> None:
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(60) % 9, "D")
    rows = pd.DataFrame({"day": days, "size": np.arange(60.0)})
    model = make_pipeline(make_column_transformer((encoder, ["day"]), remainder="passthrough"), Ridge())
    with pytest.raises(PackError, match="trained on day as a date or a duration"):
        Asked(tmp_path, model.fit(rows, rows["size"]), rows)


def stopped_early(estimator: bool) -> tuple[Any, pd.DataFrame]:
    """A model of XGBoost whose best round is not its last, and rows."""
    rows = numbers(300)
    target = rows.a + np.random.default_rng(26).normal(0, 2, 300)
    if estimator:
        model = xgboost.XGBRegressor(n_estimators=60, learning_rate=0.5, early_stopping_rounds=9, n_jobs=1)
        model.fit(rows[:200], target[:200], eval_set=[(rows[200:], target[200:])], verbose=False)
        assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
        return model, rows
    parts = [xgboost.DMatrix(rows[part], target[part]) for part in (slice(0, 200), slice(200, 300))]
    stop = {"evals": [(parts[1], "v")], "early_stopping_rounds": 9, "verbose_eval": False}
    return xgboost.train({"eta": 0.5, "nthread": 1}, parts[0], 60, **stop), rows


@pytest.mark.parametrize("convert", [True, False])
@pytest.mark.parametrize("kind", ["estimator", "its file", "a booster's file"])
def test_early_stopping_counts_as_it_does_for_who_calls_predict(tmp_path: Path, kind: str, convert: bool) -> None:
    model, rows = stopped_early(kind != "a booster's file")
    own = model.predict(rows) if kind != "a booster's file" else model.predict(xgboost.DMatrix(rows))
    if kind == "estimator":
        asked = Asked(tmp_path, model, rows, convert=convert)
    else:
        model.save_model(tmp_path / "model.json")
        asked = Asked(tmp_path, tmp_path / "model.json", rows, convert=convert)
    np.testing.assert_allclose([row["prediction"] for row in asked.predict(rows)], own, rtol=1e-4, atol=1e-4)
    assert any("all " in note for note in asked.found["notes"]) is (kind == "a booster's file")
