"""What estimators answer is what their own methods do, though what these share is computed once."""

from typing import Any

import numpy as np
import pytest
from modelhost.models.runtimes.estimator import answers
from sklearn.datasets import load_iris
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

ROWS, NUMBERS = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[NUMBERS]
ESTIMATORS = [
    RandomForestClassifier(5, random_state=1),
    ExtraTreesClassifier(5, random_state=1),
    DecisionTreeClassifier(random_state=1),
    SVC(probability=True, random_state=1),  # labels by another rule than its probabilities
    make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=1)),
    make_pipeline(LogisticRegression(max_iter=1000)),
    VotingClassifier(
        [("tree", DecisionTreeClassifier(random_state=1)), ("line", LogisticRegression(max_iter=1000))], voting="soft"
    ),
]


@pytest.mark.filterwarnings("ignore:.*probability.*:FutureWarning")
@pytest.mark.parametrize("classes", [NUMBERS, NAMES], ids=["numbers", "names"])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_answers_are_those_of_the_estimator(estimator: Any, classes: Any) -> None:
    estimator.fit(ROWS, classes)
    found = answers(estimator, ROWS, ["label", "probabilities"])
    assert list(found) == ["label", "probabilities"]
    assert np.array_equal(found["label"], estimator.predict(ROWS))
    assert np.array_equal(found["probabilities"], estimator.predict_proba(ROWS))


def test_a_forest_is_asked_once() -> None:
    forest = RandomForestClassifier(5, random_state=1).fit(ROWS, NAMES)
    asked = []
    ask = forest.predict_proba
    forest.predict_proba = lambda rows: asked.append(len(rows)) or ask(rows)
    answers(forest, ROWS, ["label", "probabilities"])
    assert asked == [len(ROWS)]
