"""Whatever form a bundle has, it answers as the estimator does when its user calls it."""

import json
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from asking import Asked, assert_as_estimator
from modelhost.packing.errors import PackError
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, OrdinalEncoder, SplineTransformer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor


def mixed(rows: int, seed: int = 0) -> pd.DataFrame:
    """Numbers, texts and booleans, some of them missing, under names that are no identifiers."""
    random = np.random.default_rng(seed)
    return pd.DataFrame({
        "age (years)": np.where(random.random(rows) < 0.15, np.nan, random.integers(18, 90, rows)),
        "net.income": random.lognormal(8, 1, rows).round(2),
        "city": pd.Series(random.choice(["Bern", "Genève", "Zürich"], rows)).where(random.random(rows) > 0.1),
        "label": random.choice([True, False], rows),
    })  # fmt: skip


def target(rows: pd.DataFrame) -> Any:
    """Something to learn from them."""
    return (rows["net.income"] > 3000).to_numpy() ^ (rows["city"] == "Bern").to_numpy()


def prepared(model: Any) -> Any:
    """The tutorial's pipeline in front of `model`."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = [("numbers", numbers, ["age (years)", "net.income"]), ("texts", texts, ["city"])]
    return make_pipeline(ColumnTransformer(columns, remainder="passthrough"), model)


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        RandomForestClassifier(12, random_state=1),
        HistGradientBoostingClassifier(max_iter=8),
        KNeighborsClassifier(),
        LinearSVC(),
        xgboost.XGBClassifier(n_estimators=8, n_jobs=1),
        lightgbm.LGBMClassifier(n_estimators=8, n_jobs=1, verbose=-1),
        catboost.CatBoostClassifier(iterations=8, verbose=False, allow_writing_files=False),
        VotingClassifier([("a", LogisticRegression()), ("b", LinearSVC())]),
        VotingClassifier([("a", LogisticRegression()), ("b", RandomForestClassifier(5))], voting="soft"),
        CalibratedClassifierCV(xgboost.XGBClassifier(n_estimators=5, n_jobs=1), cv=2),
        GridSearchCV(lightgbm.LGBMClassifier(n_estimators=5, verbose=-1), {"num_leaves": [3, 7]}, cv=2),
        TunedThresholdClassifierCV(LogisticRegression(), scoring="recall", cv=2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_pipelines_of_text_numbers_and_booleans_answer_as_they_do(tmp_path: Path, model: Any) -> None:
    rows, fresh = mixed(400), mixed(500, seed=1)
    pipeline = prepared(model).fit(rows, target(rows))
    asked = Asked(tmp_path, pipeline, rows[:200])
    assert_as_estimator(asked, pipeline, fresh)
    assert "allow_pickle" not in asked.manifest


def test_bool_classes_stay_booleans_and_integer_classes_integers_converted_or_not(tmp_path: Path) -> None:
    rows = mixed(200)
    for place, classes in enumerate((target(rows), target(rows) + 3, np.where(target(rows), "yes", "no"))):
        pipeline = prepared(LogisticRegression()).fit(rows, classes)
        for convert in (True, False):
            directory = tmp_path / f"{place}-{convert}"
            directory.mkdir()
            asked = Asked(directory, pipeline, rows, convert=convert)
            assert (asked.found["format"] == "onnx") is convert
            assert {type(row["label"]) for row in asked.predict(rows)} == {type(classes[0].item())}


@pytest.mark.parametrize("missing", [-999, 0])
def test_a_number_that_means_missing_means_so_in_the_bundle(tmp_path: Path, missing: float) -> None:
    random = np.random.default_rng(4)
    rows = pd.DataFrame(random.normal(size=(400, 3)).round(2), columns=list("abc"))
    labels = rows.sum(axis=1) > 0
    rows[random.random(rows.shape) < 0.3] = missing
    model = xgboost.XGBRegressor(n_estimators=9, missing=missing, n_jobs=1).fit(rows, labels)
    assert_as_estimator(Asked(tmp_path, model, rows[:100]), model, rows)


@pytest.mark.parametrize("values", [[7, 11, 30], ["new", "old", "véry old"], [True, False]])
@pytest.mark.parametrize("library", ["lightgbm", "xgboost", "histogram"])
def test_pandas_categories_are_sent_as_their_values(tmp_path: Path, library: str, values: list[Any]) -> None:
    random = np.random.default_rng(5)
    kind = random.choice(values, 400)
    rows = pd.DataFrame({"n": random.normal(size=400).round(2), "kind": pd.Categorical(kind)})
    labels = (kind == values[0]) ^ (rows.n > 0.4)
    model: Any = {
        "lightgbm": lightgbm.LGBMClassifier(n_estimators=9, n_jobs=1, verbose=-1),
        "xgboost": xgboost.XGBClassifier(n_estimators=9, n_jobs=1, enable_categorical=True),
        "histogram": HistGradientBoostingClassifier(max_iter=9, categorical_features="from_dtype"),
    }[library]
    if library == "xgboost" and values == [True, False]:
        pytest.skip("XGBoost takes no categories of booleans")
    model.fit(rows, labels)
    asked = Asked(tmp_path, model, rows[:150])
    assert_as_estimator(asked, model, rows.assign(kind=kind), rows)
    alone = asked.predict([{"n": 0.1, "kind": values[0]}])
    assert alone[0]["label"] == bool(model.predict(rows.assign(n=0.1)[kind == values[0]])[0])


def test_catboosts_own_threshold_decides(tmp_path: Path) -> None:
    rows = pd.DataFrame(np.random.default_rng(6).normal(size=(300, 2)), columns=["a", "b"]).round(3)
    model = catboost.CatBoostClassifier(iterations=9, verbose=False, allow_writing_files=False)
    model.fit(rows, rows.a + rows.b > 0)
    model.set_probability_threshold(0.8)
    assert_as_estimator(Asked(tmp_path, model, rows[:100], convert=False), model, rows)
    (tmp_path / "again").mkdir()
    assert_as_estimator(Asked(tmp_path / "again", model, rows[:100]), model, rows)


def test_a_column_under_another_name_is_refused_and_the_order_does_not_matter(tmp_path: Path) -> None:
    rows = pd.DataFrame(np.random.default_rng(7).normal(size=(80, 3)), columns=["a", "b", "c"]).round(3)
    model = Ridge().fit(rows, rows.a)
    asked = Asked(tmp_path, model, rows[["c", "a", "b"]])
    assert_as_estimator(asked, model, rows)
    with pytest.raises(PackError, match=r"was trained on a, b, c, but the sample .* lacks b: call its columns"):
        Asked(tmp_path, model, rows.rename(columns={"b": "B"}))


def test_names_that_lightgbm_mangles_are_mapped_and_said(tmp_path: Path) -> None:
    rows = pd.DataFrame(np.random.default_rng(8).normal(size=(300, 2)), columns=["net income", "a b"]).round(3)
    model = lightgbm.LGBMRegressor(n_estimators=9, n_jobs=1, verbose=-1).fit(rows, rows["a b"])
    asked = Asked(tmp_path, model, rows[["a b", "net income"]])
    assert "net income as net_income" in " ".join(asked.found["notes"])
    assert_as_estimator(asked, model, rows)


def test_trees_behind_a_scaler_keep_every_label_of_the_grid(tmp_path: Path) -> None:
    random = np.random.default_rng(9)

    def grid(count: int) -> pd.DataFrame:
        return pd.DataFrame({"a": random.integers(0, 400, count) / 10, "b": random.integers(0, 30, count) * 0.1})

    rows, fresh = grid(2000), grid(10000)
    model = make_pipeline(StandardScaler(), DecisionTreeRegressor(random_state=0))
    model.fit(rows, (rows.a * 7 + rows.b * 13).astype(int) % 5)
    asked = Asked(tmp_path, model, rows[:200])
    assert_as_estimator(asked, model, fresh)
    assert asked.found["conversion"]["rows_drawn"] >= 1000


def test_a_conversion_that_differs_only_between_the_samples_rows_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """float32 thresholds, as converters write them, are right on the sample."""
    monkeypatch.setattr("modelhost.packing.sklearn_onnx.make_exact", lambda *_: None)
    rows = pd.DataFrame({"x": np.arange(100) / 7})
    model = HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=2).fit(rows, rows.x)
    asked = Asked(tmp_path, model, rows)
    assert asked.found["format"] == "skops"
    assert "of rows between and around the sample's" in asked.found["conversion"]["reason"]


@pytest.mark.parametrize("vectorizer", [TfidfVectorizer(), CountVectorizer(ngram_range=(1, 2), lowercase=False)])
def test_a_pipeline_over_texts_takes_a_text(tmp_path: Path, vectorizer: Any) -> None:
    texts = ["good film", "bad film", "great plot", "worst script", "Äußerst gut", "not good"] * 8
    labels = ["+", "-", "+", "-", "+", "-"] * 8
    model = make_pipeline(vectorizer, LogisticRegression()).fit(texts, labels)
    asked = Asked(tmp_path, model, pd.DataFrame({"text": texts}))
    fresh = [*texts, "", "GOOD plot, bad script!", "äußerst schlecht " * 300, "good\u2028bad"]
    assert [row["label"] for row in asked.predict([{"text": text} for text in fresh])] == model.predict(fresh).tolist()


def test_digits_are_text_where_the_model_was_trained_on_text(tmp_path: Path) -> None:
    zips = pd.Series(["8001", "3011", "1201"] * 30, dtype=object)
    rows = pd.DataFrame({"zip": zips, "n": np.arange(90) % 7})
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["zip"]), remainder="passthrough"), LogisticRegression()
    )
    model.fit(rows, zips == "8001")
    asked = Asked(tmp_path, model, rows)
    assert asked.column("zip")["datatype"] == "BYTES"
    assert asked.column("zip")["categories"] == ["1201", "3011", "8001"]
    assert_as_estimator(asked, model, rows)


def test_what_may_be_missing_is_found_by_asking_the_model(tmp_path: Path) -> None:
    rows = mixed(300)
    asked = Asked(tmp_path, prepared(LogisticRegression()).fit(rows, target(rows)), rows)
    assert {name: asked.column(name).get("nullable", False) for name in rows} == {
        "age (years)": True, "net.income": True, "city": True, "label": False,
    }  # fmt: skip
    assert {name: "default" in asked.column(name) for name in rows} == {
        "age (years)": True, "net.income": False, "city": True, "label": False,
    }  # fmt: skip
    whole = {"age (years)": None, "net.income": 2000.5, "city": None, "label": True}
    assert asked.predict([{"net.income": 2000.5, "label": True}]) == asked.predict([whole])


def test_ranges_and_statistics_leave_out_what_is_missing(tmp_path: Path) -> None:
    rows = mixed(300)
    asked = Asked(tmp_path, prepared(LogisticRegression()).fit(rows, target(rows)), rows, ranges=True)
    assert asked.column("age (years)")["minimum"] >= 0
    assert asked.column("age (years)")["maximum"] < 200
    assert asked.column("city")["categories"] == ["Bern", "Genève", "Zürich"]
    assert_as_estimator(asked, prepared(LogisticRegression()).fit(rows, target(rows)), rows)
    said = json.loads((asked.directory / "statistics.json").read_text())["inputs"]
    ages = rows["age (years)"].dropna()
    assert said["age (years)"]["mean"] == pytest.approx(ages.mean())
    assert said["age (years)"]["missing"] == 300 - len(ages)
    assert said["city"]["missing"] == int(rows["city"].isna().sum())
    assert "None" not in said["city"]["values"]


def test_columns_of_booleans_have_no_range(tmp_path: Path) -> None:
    rows = pd.get_dummies(pd.DataFrame({"n": np.arange(60.0), "kind": ["a", "b", "c"] * 20}))
    model = LogisticRegression().fit(rows, rows.kind_a)
    asked = Asked(tmp_path, model, rows, ranges=True)
    assert asked.column("kind_a") == {"name": "kind_a", "boolean": True}
    assert_as_estimator(asked, model, rows)


@pytest.mark.parametrize("gaps", [True, False])
def test_integers_that_an_encoder_knows_may_also_be_missing(tmp_path: Path, gaps: bool) -> None:
    random = np.random.default_rng(12)
    rows = pd.DataFrame({"rooms": random.choice([1, 2, 3, np.nan], 200), "city": random.choice(["x", "y"], 200)})
    model = make_pipeline(make_column_transformer((OneHotEncoder(), ["rooms", "city"])), LogisticRegression())
    model.fit(rows, rows.city == "x")
    asked = Asked(tmp_path, model, rows if gaps else rows.dropna().astype({"rooms": int}))
    rooms = asked.column("rooms")
    assert (rooms["datatype"], rooms["categories"], rooms["nullable"]) == ("INT64", [1, 2, 3], True)
    assert_as_estimator(asked, model, rows)


def test_a_gap_that_no_step_was_made_for_gives_way_to_the_conversion(tmp_path: Path) -> None:
    rows = pd.DataFrame(np.random.default_rng(13).normal(size=(150, 2)), columns=["a", "b"]).round(2)
    forest = IsolationForest(n_estimators=9, random_state=0).fit(rows)
    asked = Asked(tmp_path, forest, rows)
    assert asked.manifest["format"] == "onnx"
    assert "nullable" not in asked.column("a")
    assert any(note.startswith("a and b must be given") for note in asked.found["notes"])
    assert_as_estimator(asked, forest, rows)


@pytest.mark.parametrize("gaps", ["in the sample", "filled by a step", "of the encoder", "none"])
def test_flags_are_converted_unless_they_may_be_missing(tmp_path: Path, gaps: str) -> None:
    random = np.random.default_rng(14)
    rows = pd.DataFrame({"n": random.normal(size=300).round(2), "flag": random.choice([True, False], 300)})
    lacking = rows.assign(flag=rows.flag.astype(object).where(random.random(300) < 0.9, np.nan))
    encoder: Any = OneHotEncoder(handle_unknown="ignore")
    if gaps == "filled by a step":
        encoder = make_pipeline(SimpleImputer(strategy="most_frequent"), encoder)
    model = make_pipeline(make_column_transformer((encoder, ["flag"]), remainder="passthrough"), LogisticRegression())
    model.fit(lacking if gaps == "of the encoder" else rows.astype({"flag": object}), rows.n > 0)
    sample = lacking if gaps == "in the sample" else rows
    asked = Asked(tmp_path, model, sample)
    converted = gaps == "none"
    assert (asked.manifest["format"] == "onnx") is converted
    assert asked.column("flag").get("nullable", False) is not converted
    assert_as_estimator(asked, model, sample)
    if not converted:
        assert_as_estimator(asked, model, lacking.head(50))


@pytest.mark.parametrize("imputer", [None, SimpleImputer(missing_values=None, strategy="most_frequent")])
@pytest.mark.parametrize("values", [["x", "é y"], [True, False], [1, 2]])
@pytest.mark.parametrize("frame", [True, False])
def test_what_was_trained_on_none_gets_none_and_not_nan(
    tmp_path: Path, imputer: Any, values: list[Any], frame: bool
) -> None:
    random = np.random.default_rng(15)
    kind = pd.Series([values[place] if place < 2 else None for place in random.integers(0, 3, 300)], dtype=object)
    rows = pd.DataFrame({"kind": kind, "other": pd.Series(random.choice(["a", "b"], 300), dtype=object)})
    encoder = OneHotEncoder(handle_unknown="ignore")
    model = make_pipeline(*([imputer] if imputer else []), encoder, LogisticRegression())
    target = (rows.kind.isna() | (rows.kind == values[0])) & (rows.other == "a")
    model.fit(rows if frame else rows.to_numpy(), target)
    taken = rows if frame else rows.to_numpy()
    assert_as_estimator(Asked(tmp_path, model, rows), model, rows, taken)


def test_outputs_are_all_that_the_estimator_offers(tmp_path: Path) -> None:
    rows = pd.DataFrame(np.random.default_rng(10).normal(size=(120, 2)), columns=["a", "b"]).round(3)
    cases: list[tuple[Any, Any, list[str]]] = [
        (IsolationForest(n_estimators=9, random_state=0), None, ["prediction", "scores"]),
        (KMeans(3, n_init=2, random_state=0), None, ["prediction", "distances"]),
        (LinearSVC(), rows.a > 0, ["label", "scores"]),
        (SplineTransformer(), None, ["transformed"]),
        (KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), None, ["transformed"]),
        (StackingRegressor([("a", LinearRegression())], cv=2), rows.a, ["prediction"]),
    ]
    for place, (model, labels, outputs) in enumerate(cases):
        directory = tmp_path / str(place)
        directory.mkdir()
        asked = Asked(directory, model.fit(rows, labels), rows)
        assert [output["name"] for output in asked.manifest["outputs"]] == outputs
        assert_as_estimator(asked, model, rows)


def test_several_labels_a_row_come_with_the_probabilities_of_each(tmp_path: Path) -> None:
    rows = pd.DataFrame(np.random.default_rng(11).normal(size=(120, 2)), columns=["a", "b"]).round(3)
    model = MultiOutputClassifier(LogisticRegression()).fit(rows, np.c_[rows.a > 0, rows.b > 0, rows.a > rows.b])
    answered = Asked(tmp_path, model, rows).predict(rows)
    assert [row["label"] for row in answered] == model.predict(rows).tolist()
    for place, own in enumerate(model.predict_proba(rows)):
        got = [row[f"probabilities_{place}"] for row in answered]
        np.testing.assert_allclose(got, own, atol=1e-6)


def test_an_ordinal_encoder_before_trees_keeps_missing_texts(tmp_path: Path) -> None:
    rows = mixed(300)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = make_pipeline(
        make_column_transformer((encoder, ["city"]), remainder="passthrough", verbose_feature_names_out=False),
        HistGradientBoostingClassifier(max_iter=6),
    ).fit(rows, target(rows))
    assert_as_estimator(Asked(tmp_path, model, rows), model, mixed(300, seed=3))


def test_trees_whose_categories_come_out_of_an_encoder_pack(tmp_path: Path) -> None:
    rows = mixed(200)[["city"]].dropna()
    model = make_pipeline(OrdinalEncoder(), HistGradientBoostingRegressor(max_iter=5, categorical_features=[0]))
    model.fit(rows, rows.city.str.len())
    assert_as_estimator(Asked(tmp_path, model, rows), model, rows)
