"""The rows that packing draws beyond a sample: every kind on which conversions were seen to differ is among them."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from modelhost.packing.probes import LONG, Drawn, draw_rows
from modelhost.payload.datatypes import Array, Arrays

THRESHOLD = 0.30000000000000004  # a float64 that is no float32
COUNT = 60


def draw(
    inputs: list[dict[str, Any]],
    batch: Arrays,
    predict: Callable[[Arrays], Arrays],
    unknown: dict[str, Any] | None = None,
) -> list[Drawn]:
    return list(draw_rows(inputs, batch, unknown or {}, predict))


def column(drawn: list[Drawn], name: str = "x", edges: bool = False) -> Array:
    return np.concatenate([each.rows[name] for each in drawn if each.edges is edges and each.rows])


def number(**more: Any) -> list[dict[str, Any]]:
    return [{"name": "x", "datatype": "FP64", "shape": [], **more}]


def text(**more: Any) -> list[dict[str, Any]]:
    return [{"name": "x", "datatype": "BYTES", "shape": [], **more}]


def texts(*values: Any) -> Arrays:
    array = np.empty(COUNT, object)
    array[:] = [values[place % len(values)] for place in range(COUNT)]
    return {"x": array}


def numbers() -> Arrays:
    return {"x": np.linspace(0, 1, COUNT) ** 2}


def step(rows: Arrays) -> Arrays:
    """A tree of one threshold, which only rows drawn between the sample's can find."""
    return {"label": (rows["x"] > THRESHOLD).astype(np.int64)}


def constant(rows: Arrays) -> Arrays:
    return {"label": np.zeros(len(next(iter(rows.values()))), np.int64)}


def test_edges_are_found_to_the_last_bits_and_lie_on_both_sides() -> None:
    edges = column(draw(number(), numbers(), step), edges=True)
    near = edges[np.abs(edges - THRESHOLD) < 1e-14]
    assert len(near)
    assert (near <= THRESHOLD).sum() == (near > THRESHOLD).sum()


def test_the_neighbours_of_an_edge_in_float32_are_among_the_edges() -> None:
    single = np.float32(THRESHOLD)
    edges = set(column(draw(number(), numbers(), step), edges=True).tolist())
    assert {
        float(single),
        float(np.nextafter(single, np.float32(0))),
        float(np.nextafter(single, np.float32(1))),
    } <= edges


def test_a_model_whose_answer_never_changes_has_no_edges() -> None:
    assert column(draw(number(), numbers(), constant), edges=True).tolist() == []


def test_edges_of_one_feature_among_several_are_its_own() -> None:
    features = [{"name": "a"}, {"name": "b"}]
    inputs = [{"name": "x", "datatype": "FP64", "shape": [2], "features": features}]
    batch = {"x": np.stack([np.linspace(0, 1, COUNT), np.linspace(5, 6, COUNT)], axis=1)}

    def second(rows: Arrays) -> Arrays:
        return {"label": (rows["x"][:, 1] > 5 + THRESHOLD).astype(np.int64)}

    edges = column(draw(inputs, batch, second), edges=True)
    assert np.abs(edges[:, 1] - (5 + THRESHOLD)).max() < 1e-6
    assert set(edges[:, 0]) <= set(batch["x"][:, 0])


def test_numbers_lie_between_around_and_beside_the_samples() -> None:
    sample = numbers()["x"]
    drawn = column(draw(number(), numbers(), constant))
    between = (sample[1:] + sample[:-1]) / 2
    assert np.isin(between, drawn).mean() > 0.5
    assert drawn.min() < sample.min()
    assert drawn.max() > sample.max()
    beside = np.nextafter(sample.astype(np.float32), np.float32(np.inf)).astype(np.float64)
    assert np.isin(beside, drawn).any()
    assert not np.isnan(drawn).any()


def test_a_column_of_tenths_is_also_drawn_in_tenths() -> None:
    """The middle of two values is a tree's threshold, and other rows of the same grid may lie on it."""
    drawn = column(draw(number(), {"x": np.tile([0.1, 0.4], COUNT // 2)}, constant))
    assert {0.2, 0.25} <= set(drawn.tolist())


def test_integers_stay_integers_within_their_type() -> None:
    inputs = [{"name": "x", "datatype": "UINT8", "shape": []}]
    drawn = column(draw(inputs, {"x": np.tile(np.array([235, 255], np.uint8), COUNT // 2)}, constant))
    assert drawn.dtype == np.uint8
    assert set(drawn.tolist()) == {233, 235, 245, 255}


@pytest.mark.parametrize("nullable", [True, False])
def test_missing_values_are_drawn_where_the_model_takes_them_alone(nullable: bool) -> None:
    drawn = draw(number(nullable=nullable), numbers(), constant)
    assert np.isnan(column(drawn)).any() == nullable
    words = column(draw(text(nullable=nullable), texts("a", "b"), constant))
    assert (None in words.tolist()) == nullable


def test_missing_values_of_a_feature_are_its_own() -> None:
    features = [{"name": "a", "nullable": True}, {"name": "b"}]
    inputs = [{"name": "x", "datatype": "FP64", "shape": [2], "features": features}]
    drawn = column(draw(inputs, {"x": np.random.default_rng(0).normal(size=(COUNT, 2))}, constant))
    assert np.isnan(drawn[:, 0]).any()
    assert not np.isnan(drawn[:, 1]).any()


def test_a_boolean_feature_keeps_the_samples_values() -> None:
    inputs = [{"name": "x", "datatype": "FP64", "shape": [1], "features": [{"name": "a", "boolean": True}]}]
    assert draw(inputs, {"x": np.tile([[0.0], [1.0]], (COUNT // 2, 1))}, constant) == []


@pytest.mark.parametrize(
    ("inputs", "batch", "unknown"),
    [
        (text(), texts("red", "green"), "not red"),
        (text(categories=["red", "green"]), texts("red", "green"), "not red"),
        (number(), {"x": np.tile([1.0, 2.0], COUNT // 2)}, 3.5),
    ],
    ids=["text", "categories", "numbers"],
)
def test_a_category_that_the_model_does_not_know_is_drawn(
    inputs: list[dict[str, Any]], batch: Arrays, unknown: object
) -> None:
    assert unknown in column(draw(inputs, batch, constant, {"x": unknown})).tolist()
    assert unknown not in column(draw(inputs, batch, constant)).tolist()


def test_a_category_that_the_sample_lacks_is_drawn_and_no_other_text() -> None:
    drawn = set(column(draw(text(categories=["red", "green", "blue"]), texts("red"), constant)).tolist())
    assert drawn == {"red", "green", "blue"}


@pytest.mark.parametrize(
    "holds",
    [
        lambda word: word == "",
        lambda word: len(word) == LONG,
        lambda word: word == "WARM SUN",
        lambda word: word == " warm sun",
        lambda word: "\n" in word,
        lambda word: "\u2028" in word,
        lambda word: "東京" in word,
        lambda word: word in ("sun's", "warm's", "cold's", "rain's"),
        lambda word: len(word.split()) > 2,
    ],
    ids=["empty", "long", "capitals", "a space first", "two lines", "U+2028", "Japanese", "an apostrophe", "mixed"],
)
def test_texts_are_of_every_odd_kind(holds: Callable[[str], bool]) -> None:
    assert any(map(holds, column(draw(text(), texts("warm sun", "cold rain"), constant)).tolist()))


def test_a_slow_model_is_asked_fewer_rows() -> None:
    few = len(column(draw(number(), numbers(), slow)))
    assert few < len(column(draw(number(), numbers(), constant))) / 2
    assert few >= 300  # half of them, and all


def slow(rows: Arrays) -> Arrays:
    time.sleep(len(rows["x"]) * 1e-3)
    return constant(rows)


def test_the_same_rows_are_drawn_each_time() -> None:
    first, second = (column(draw(number(), numbers(), constant)) for _ in range(2))
    assert len(first) == len(second)
    np.testing.assert_array_equal(first, second)
