"""Categories that boosted trees were trained on are sent as their values, in whatever file the trees come."""

import json
from pathlib import Path
from typing import Any

import catboost
import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from asking import Asked, assert_as_estimator
from modelhost.packing.errors import PackError
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

VALUES: dict[str, list[Any]] = {
    "integers": [40, 20, 30, 10], "texts": ["new", "old", "véry old"], "digits": ["3", "1", "2"],
    "fractions": [2.5, 0.5, 1.5], "booleans": [True, False], "codes": [0, 1, 2], "words": ["True", "False"],
}  # fmt: skip


def rows_of(values: list[Any], count: int = 400, seed: int = 0, **category: Any) -> pd.DataFrame:
    """A column of pandas' category, beside numbers."""
    random = np.random.default_rng(seed)
    kind = pd.Categorical([values[place] for place in random.integers(0, len(values), count)], values, **category)
    return pd.DataFrame({"size": random.normal(50, 9, count).round(1), "kind": kind})


def target(rows: pd.DataFrame) -> pd.Series:
    """Something to learn: each category has an answer of its own."""
    return rows.kind.cat.codes * 5 + rows["size"] * 0.01


def sent(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as a client has them, without pandas' types."""
    found: list[dict[str, Any]] = rows.astype(object).where(rows.notna(), None).to_dict("records")
    return found


def lightgbm_of(rows: pd.DataFrame, **options: Any) -> Any:
    return lightgbm.train({"verbose": -1, "num_threads": 1}, lightgbm.Dataset(rows, target(rows), **options), 12)


def xgboost_of(rows: pd.DataFrame) -> Any:
    return xgboost.train({"nthread": 1}, xgboost.DMatrix(rows, target(rows), enable_categorical=True), 12)


def own_answers(booster: Any, rows: pd.DataFrame) -> Any:
    """What the booster's user sees."""
    return booster.predict(
        xgboost.DMatrix(rows, enable_categorical=True) if isinstance(booster, xgboost.Booster) else rows
    )


def assert_predicts(asked: Asked, rows: pd.DataFrame, predicted: Any) -> None:
    """The rows, as a client has them, are answered so."""
    answered = [row["prediction"] for row in asked.predict(sent(rows))]
    np.testing.assert_allclose(answered, predicted, rtol=1e-6, atol=1e-9)


def assert_as_booster(asked: Asked, booster: Any, rows: pd.DataFrame) -> None:
    """Every row is answered as the booster answers it in a data frame."""
    assert_predicts(asked, rows, own_answers(booster, rows))


def saved(booster: Any, directory: Path, suffix: str) -> Path:
    path = directory / f"model{suffix}"
    if suffix == ".joblib":
        joblib.dump(booster, path)
    else:
        booster.save_model(path)
    return path


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("suffix", [".txt", ".joblib"])
def test_a_lightgbm_file_knows_its_categories(tmp_path: Path, suffix: str, values: str) -> None:
    rows = rows_of(VALUES[values])
    booster = lightgbm_of(rows)
    asked = Asked(tmp_path, saved(booster, tmp_path, suffix), rows[:200])
    assert_as_booster(asked, booster, rows)
    lacking = rows.assign(kind=rows.kind.where(rows.index % 3 > 0))
    assert_as_booster(asked, booster, lacking)
    assert (asked.found["format"], asked.manifest["libraries"]) == ("lightgbm", ["pandas"])


def test_a_lightgbm_file_takes_an_unknown_category_for_a_missing_one(tmp_path: Path) -> None:
    rows = rows_of(VALUES["integers"])
    booster = lightgbm_of(rows)
    asked = Asked(tmp_path, saved(booster, tmp_path, ".txt"), rows[:200])
    unknown, missing = asked.predict([{"size": 50.0, "kind": 77}, {"size": 50.0, "kind": None}])
    assert unknown == missing
    assert "40, 20, 30, 10" in asked.column("kind")["description"]


@pytest.mark.parametrize("values", ["integers", "texts", "digits", "codes", "words"])  # XGBoost takes no others
@pytest.mark.parametrize("suffix", [".json", ".ubj", ".joblib"])
def test_an_xgboost_file_knows_its_categories(tmp_path: Path, suffix: str, values: str) -> None:
    rows = rows_of(VALUES[values])
    booster = xgboost_of(rows)
    asked = Asked(tmp_path, saved(booster, tmp_path, suffix), rows[:200])
    assert_as_booster(asked, booster, rows)
    assert_as_booster(asked, booster, rows.assign(kind=rows.kind.where(rows.index % 3 > 0)))
    assert (asked.found["format"], asked.manifest["libraries"]) == ("xgboost", ["pandas"])


@pytest.mark.parametrize("integers", ["int8", "uint8", "int16", "int32"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_xgboosts_categories_of_short_integers_stay_such(tmp_path: Path, wrapped: bool, integers: str) -> None:
    """As .dt.month.astype("category") gives: XGBoost takes no 1 of another type for the same category."""
    rows = rows_of(VALUES["integers"])
    short = rows.assign(kind=rows.kind.astype(integers).astype("category"))
    booster = xgboost_of(short)
    model: Any = saved(booster, tmp_path, ".ubj")
    if wrapped:
        model = xgboost.XGBRegressor(n_estimators=12, n_jobs=1, enable_categorical=True).fit(short, target(rows))
    lacking = short.assign(kind=short.kind.where(short.index % 3 > 0))
    for directory, sample in ((tmp_path / "whole", rows[:200]), (tmp_path / "lacking", lacking[:200])):
        directory.mkdir()
        asked = Asked(directory, model, sample)
        for taken in (short, lacking):
            assert_predicts(asked, taken, model.predict(taken) if wrapped else own_answers(booster, taken))
        assert asked.column("kind")["categories"] == [10, 20, 30, 40]


def test_an_xgboost_classifiers_own_file_names_the_categories_that_it_takes(tmp_path: Path) -> None:
    rows = rows_of(VALUES["integers"])
    model = xgboost.XGBClassifier(n_estimators=9, n_jobs=1, enable_categorical=True)
    model.fit(rows, rows.kind.isin([10, 40]))
    asked = Asked(tmp_path, saved(model, tmp_path, ".json"), rows[:200])
    probabilities = [row["probabilities"] for row in asked.predict(sent(rows))]
    np.testing.assert_allclose(probabilities, model.predict_proba(rows), rtol=1e-5)
    assert asked.column("kind")["categories"] == [40, 20, 30, 10]


@pytest.mark.parametrize("values", ["integers", "texts", "codes"])
@pytest.mark.parametrize("named", ["code", "ordered", "both", "not the category"])
def test_lightgbm_tells_categories_of_pandas_from_its_other_ones(tmp_path: Path, named: str, values: str) -> None:
    """Integers named as categorical_feature have no values in the file, and an ordered category is a number to it."""
    random = np.random.default_rng(3)
    rows = rows_of(VALUES[values], ordered=named in ("ordered", "both"))
    rows.insert(0, "code", random.choice([10, 20, 30, 40], len(rows)))
    rows.insert(1, "zone", pd.Categorical(random.choice(["x", "y", "z"], len(rows)), ["z", "x", "y"]))
    rows.insert(2, "share", random.random(len(rows)))
    chosen = {"code": ["code", "kind", "zone"], "both": ["code", "zone"], "not the category": ["code"]}
    options = {"categorical_feature": chosen[named]} if named in chosen else {}
    answers = target(rows) + (rows.code == 20) * 3 + (rows.zone == "x") * 7
    model = lightgbm.LGBMRegressor(n_estimators=12, n_jobs=1, verbose=-1).fit(rows, answers, **options)
    assert_as_booster(Asked(tmp_path, model, rows[:200]), model, rows)
    (tmp_path / "file").mkdir()
    file = saved(model.booster_, tmp_path, ".txt")
    assert_as_booster(Asked(tmp_path / "file", file, rows[:200]), model, rows)


def test_lightgbms_category_that_may_be_either_of_two_columns_is_refused(tmp_path: Path) -> None:
    rows = rows_of([1, 2, 0], ordered=True)
    rows.insert(0, "flag", rows.kind.astype(int).to_numpy()[::-1])
    model = lightgbm.LGBMRegressor(n_estimators=5, n_jobs=1, verbose=-1).fit(rows, target(rows))
    with pytest.raises(PackError, match=r"does not say whether flag was one of pandas' categories \[1, 2, 0\]"):
        Asked(tmp_path, model, rows[:200])


def test_lightgbms_category_that_reads_as_its_own_codes_is_the_column_that_is_split_so(tmp_path: Path) -> None:
    rows = rows_of([0, 1, 2])
    rows.insert(0, "flag", rows.kind.astype(int).to_numpy()[::-1])
    model = lightgbm.LGBMRegressor(n_estimators=9, n_jobs=1, verbose=-1).fit(rows, target(rows))
    asked = Asked(tmp_path, model, rows[:200])
    assert_as_booster(asked, model, rows)
    assert asked.column("kind")["dtype"] == "category"
    assert "dtype" not in asked.column("flag")


def test_a_sample_with_none_of_the_categories_is_refused(tmp_path: Path) -> None:
    rows = rows_of(VALUES["integers"])
    file = saved(lightgbm_of(rows), tmp_path, ".txt")
    with pytest.raises(PackError, match=r"no columns of the sample hold the categories .*\[40, 20, 30, 10\]"):
        Asked(tmp_path, file, rows.assign(kind=rows.kind.astype(int) + 1))


def test_columns_whose_names_are_numbers_are_taken_as_a_data_frame(tmp_path: Path) -> None:
    rows = rows_of(VALUES["integers"])
    for place, model in enumerate((
        lightgbm.LGBMRegressor(n_estimators=9, n_jobs=1, verbose=-1),
        xgboost.XGBRegressor(n_estimators=9, n_jobs=1, enable_categorical=True),
    )):  # fmt: skip
        numbered = rows.set_axis(["0", "1"], axis=1)
        model.fit(numbered, target(rows))
        (tmp_path / str(place)).mkdir()
        assert_as_booster(Asked(tmp_path / str(place), model, numbered[:200]), model, numbered)


PASSING = ColumnTransformer([("scaled", StandardScaler(), ["size"])], remainder="passthrough")


@pytest.mark.parametrize("values", ["integers", "texts"])
@pytest.mark.parametrize("first", [PASSING.set_output(transform="pandas"), FunctionTransformer()], ids=["rest", "same"])
@pytest.mark.parametrize("last", ["lightgbm", "xgboost", "voting"])
def test_categories_are_known_behind_steps_that_pass_them(tmp_path: Path, last: str, first: Any, values: str) -> None:
    trees = [
        ("lightgbm", lightgbm.LGBMRegressor(n_estimators=9, n_jobs=1, verbose=-1)),
        ("xgboost", xgboost.XGBRegressor(n_estimators=9, n_jobs=1, enable_categorical=True)),
    ]
    model = make_pipeline(first, VotingRegressor(trees) if last == "voting" else dict(trees)[last])
    rows = rows_of(VALUES[values])
    model.fit(rows, target(rows))
    assert_as_booster(Asked(tmp_path, model, rows[:200]), model, rows)


def test_a_calibration_of_trees_knows_their_categories(tmp_path: Path) -> None:
    rows = rows_of(VALUES["integers"])
    rows.insert(0, "code", np.random.default_rng(3).choice([1, 2], len(rows)))
    trees = lightgbm.LGBMClassifier(n_estimators=9, n_jobs=1, verbose=-1)
    model = CalibratedClassifierCV(trees, cv=2).fit(rows, rows.kind.isin([10, 40]))
    asked = Asked(tmp_path, model, rows[:200])
    assert_as_estimator(asked, model, rows.astype({"kind": int}), rows)


TEXTS = [["true", "false"], ["True", "False"], ["TRUE", "FALSE"], ["1.0", "2.0"], ["1e3", "1E3"], ["1", "2"],
         ["-0", "0"], ["007", "7"], [" 1", "1"], ["1.50", "1.5"]]  # fmt: skip


@pytest.mark.parametrize("texts", TEXTS, ids=str)
@pytest.mark.parametrize("kept", [".joblib", ".cbm", "pipeline"])
def test_catboosts_categories_are_the_texts_of_the_sample(tmp_path: Path, kept: str, texts: list[str]) -> None:
    rows = rows_of(texts).astype({"kind": object})
    model: Any = catboost.CatBoostRegressor(30, verbose=False, allow_writing_files=False, cat_features=["kind"])
    if kept == "pipeline":
        model = make_pipeline(FunctionTransformer(), model)
    model.fit(rows, (rows.kind == texts[0]) * 10.0)
    asked = Asked(tmp_path, saved(model, tmp_path, kept) if kept == ".cbm" else model, rows[:200])
    integers = texts == ["1", "2"]  # which are the same to CatBoost
    assert asked.column("kind")["datatype"] == ("INT64" if integers else "BYTES")
    assert_predicts(asked, rows.astype({"kind": int}) if integers else rows, model.predict(rows))
    if not integers:
        other = rows[:1].assign(kind="other")
        assert_predicts(asked, other, model.predict(other))


def test_catboosts_categories_in_json_are_the_values_as_written(tmp_path: Path) -> None:
    """A null among integers makes numbers of them elsewhere, and 1.0 is another category than 1."""
    rows = rows_of(["1", "2"]).astype({"kind": object})
    model = catboost.CatBoostRegressor(30, verbose=False, allow_writing_files=False, cat_features=["kind"])
    model.fit(rows, (rows.kind == "1") * 10.0)
    sample = tmp_path / "sample.json"
    records = [{"size": 50.0, "kind": None}, *sent(rows.astype({"kind": int})[:200])]
    sample.write_text(json.dumps(records))
    asked = Asked(tmp_path, model, sample)
    assert_predicts(asked, rows, model.predict(rows))


@pytest.mark.parametrize("written", [{True: "True", False: "False"}, {True: "true", False: "false"}], ids=str)
@pytest.mark.parametrize("kept", [".joblib", ".cbm"])
@pytest.mark.parametrize("gap", [False, True])
def test_a_catboost_column_of_booleans_stays_one(
    tmp_path: Path, gap: bool, kept: str, written: dict[bool, str]
) -> None:
    rows = rows_of([True, False]).astype({"kind": bool})
    model = catboost.CatBoostRegressor(30, verbose=False, allow_writing_files=False, cat_features=["kind"])
    model.fit(rows, rows.kind * 10.0)
    cells = rows[:200].assign(kind=rows.kind[:200].map(written))
    cells.loc[5, "kind"] = None if gap else cells.kind[5]
    asked = Asked(tmp_path, saved(model, tmp_path, kept), cells)
    assert_predicts(asked, rows, model.predict(rows))
    assert asked.column("kind")["datatype"] == "BOOL"


def without_values(booster: Any, path: Path) -> Path:
    """The file as XGBoost wrote it before 3.1, which kept no values of categories."""
    found = json.loads(booster.save_raw("json"))
    del found["learner"]["gradient_booster"]["model"]["cats"]
    path.write_text(json.dumps(found | {"version": [2, 1, 0]}))
    return path


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_xgboost_model_that_kept_no_values_of_its_categories_is_refused(tmp_path: Path, wrapped: bool) -> None:
    rows = rows_of(VALUES["integers"])
    model: Any = without_values(xgboost_of(rows), tmp_path / "model.json")
    if wrapped:
        estimator = xgboost.XGBRegressor(n_jobs=1, enable_categorical=True)
        estimator.load_model(model)
        model = estimator
    with pytest.raises(PackError, match=r"no values of the categories of kind, as before its version 3\.1: train"):
        Asked(tmp_path, model, rows[:200])


@pytest.mark.parametrize("codes", [[0, 1, 2], [40, 20, 10]])
def test_an_xgboost_model_trained_on_codes_takes_codes(tmp_path: Path, codes: list[int]) -> None:
    rows = rows_of(codes)
    features = rows.astype(float).to_numpy()
    matrix = xgboost.DMatrix(features, target(rows), feature_types=["q", "c"], enable_categorical=True)
    booster = xgboost.train({"nthread": 1}, matrix, 12)
    file = saved(booster, tmp_path, ".ubj")
    assert_predicts(Asked(tmp_path, file, rows[:200]), rows, booster.predict(matrix))
    with pytest.raises(PackError, match="column kind holds none of the codes that the model knows, such as"):
        Asked(tmp_path, file, rows[:200].assign(kind=5))
