"""The mistakes that people make when they pack: each is told what to do instead."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import xgboost
from asking import Asked, assert_as_estimator
from modelhost.packing.errors import PackError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC


def numbers() -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(31).normal(size=(90, 2)), columns=["a", "b"]).round(2)


def of_three() -> Any:
    rows = numbers()
    return LinearSVC().fit(rows, rows.a.round().clip(-1, 1).astype(int) + 1)


def test_the_target_left_beside_a_text(tmp_path: Path) -> None:
    rows = pd.DataFrame({"text": ["good day", "bad day", "good", "bad"] * 9, "target": [1, 0, 1, 0] * 9})
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(rows.text, rows.target)
    with pytest.raises(PackError, match="takes one column, not several: leave out the others, such as the target"):
        Asked(tmp_path, model, rows)
    assert_as_estimator(Asked(tmp_path, model, rows, drop=("target",)), model, rows[["text"]], rows.text)


def test_a_function_of_the_training_script(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import joblib\nfrom sklearn.preprocessing import FunctionTransformer\n\n\ndef clean(rows):\n    return rows\n"
        "\n\njoblib.dump(FunctionTransformer(clean).fit([[1.0]]), 'model.joblib')\n"
    )
    subprocess.run([sys.executable, "train.py"], cwd=tmp_path, check=True)
    with pytest.raises(PackError, match=r"needs clean, which its training script .* train again, and pack with --with"):
        Asked(tmp_path, tmp_path / "model.joblib", numbers())


def test_data_instead_of_a_model(tmp_path: Path) -> None:
    joblib.dump(numbers().a, tmp_path / "model.joblib")
    with pytest.raises(PackError, match="holds a Series, which can neither predict nor transform"):
        Asked(tmp_path, tmp_path / "model.joblib", numbers())


@pytest.mark.parametrize(("mark", "said"), [(";", "';'"), ("\t", "tabs"), ("|", "'|'")])
def test_cells_between_other_marks_than_commas(tmp_path: Path, mark: str, said: str) -> None:
    numbers().to_csv(tmp_path / "rows.csv", index=False, sep=mark)
    with pytest.raises(PackError, match=f"has {said!s} between its cells".replace("|", "[|]")):
        Asked(tmp_path, of_three(), tmp_path / "rows.csv")


def test_rows_of_savetxt_which_have_no_names(tmp_path: Path) -> None:
    rows = numbers()
    model = xgboost.XGBRegressor(n_estimators=5, n_jobs=1).fit(rows.to_numpy(), rows.a)
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",")
    with pytest.raises(PackError, match="begins with numbers"):
        Asked(tmp_path, model, tmp_path / "rows.csv")
    asked = Asked(tmp_path, model, tmp_path / "rows.csv", header=False)
    assert asked.manifest["inputs"][0]["shape"] == [2]
    found = [row["prediction"] for row in asked.predict([{"features": row} for row in rows.to_numpy().tolist()])]
    np.testing.assert_allclose(found, model.predict(rows.to_numpy()), rtol=1e-4)


def test_rows_of_savetxt_for_a_model_of_names(tmp_path: Path) -> None:
    rows, model = numbers(), of_three()
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",")
    asked = Asked(tmp_path, model, tmp_path / "rows.csv", header=False)
    assert_as_estimator(asked, model, rows)


def test_fewer_labels_than_the_model_has(tmp_path: Path) -> None:
    rows, model = numbers(), of_three()
    few = rows[model.predict(rows) < 2]  # of the sample, the third label is no answer
    with pytest.raises(PackError, match=r"2 names cannot stand for the model's labels \[0, 1, 2\]"):
        Asked(tmp_path, model, few, labels=("low", "high"))
    asked = Asked(tmp_path, model, few, labels=("low", "middle", "high"))
    assert {row["label"] for row in asked.predict(rows)} == {"low", "middle", "high"}


def test_a_classifier_without_probabilities_is_converted(tmp_path: Path) -> None:
    rows, model = numbers(), of_three()
    asked = Asked(tmp_path, model, rows)
    assert asked.manifest["format"] == "onnx"
    assert_as_estimator(asked, model, rows)


def test_a_sample_of_one_row_is_enough(tmp_path: Path) -> None:
    rows = numbers()
    model = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(rows, rows.a > 0)
    asked = Asked(tmp_path, model, rows.head(1))
    assert asked.manifest["format"] == "onnx"
    assert_as_estimator(asked, model, rows)
