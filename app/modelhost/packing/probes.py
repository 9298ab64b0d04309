"""Rows beyond the sample, drawn where a conversion and the model may answer differently.

Between the sample's values and around them, on the edges at which the answer changes and at their neighbours in
float32, with missing and unknown values, long and empty texts. A sample's own rows are where a model was trained: its
edges lie between them.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelhost.packing.compare import compare
from modelhost.payload.datatypes import Array, Arrays

Predict = Callable[[Arrays], Arrays]

ROWS = 4000
SECONDS = 4.0  # that the model may take to answer them; a slower one is asked fewer
LEAST = 200
EDGES = 24  # for each column
HALVINGS = 48  # from any two numbers to near neighbours
EDGE_SHARE = 16  # of so many rows that can be afforded one is halved
VALUES = 400  # of a column's, that are mixed into rows
SHARE = 0.5  # of a row's columns that get another value
LONG = 3000  # characters of a long text
SEED = 20240229


@dataclass(frozen=True)
class ProbedColumn:
    """A column of the batch: `place` is its position in an input of several features."""

    input: str
    place: int | None
    nullable: bool
    values: tuple[Any, ...] = ()  # all that there are, where the model takes no others
    unknown: tuple[Any, ...] = ()  # of which one is no value that the model knows

    def get(self, batch: Arrays) -> Array:
        """Its values (rows,) in `batch`: a view."""
        array = batch[self.input]
        return array if self.place is None else array[:, self.place]


@dataclass(frozen=True)
class Drawn:
    """Rows beyond the sample; of `edges`, where the model is undecided."""

    rows: Arrays
    edges: bool = False


def draw_rows(
    inputs: list[dict[str, Any]], batch: Arrays, unknown: dict[str, Any], predict: Predict
) -> Iterator[Drawn]:
    """Rows like those of `batch` (rows, *shape), as many as `predict` answers in some seconds.

    The sample's own values mixed anew, then mixed with others, then those on edges: a model that refuses some values
    is asked what it takes.

    `unknown` has for some columns a value that the model was not trained on. Inputs of several dimensions without
    features are taken from the sample as they are.
    """
    random = np.random.default_rng(SEED)
    columns = _columns(inputs, batch, unknown)
    if not columns:
        return
    rows = _affordable(batch, predict)
    own = {column: column.get(batch) for column in columns}
    yield Drawn(_mix(columns, batch, own, random, rows // 2))
    pools = {column: _pool(column, batch, random) for column in columns}
    yield Drawn(_mix(columns, batch, pools, random, rows))
    yield Drawn(_edges(columns, batch, predict, pools, random, rows), edges=True)


def _columns(inputs: list[dict[str, Any]], batch: Arrays, unknown: dict[str, Any]) -> list[ProbedColumn]:
    found = []
    for schema in inputs:
        if "features" in schema:
            for place, feature in enumerate(schema["features"]):
                if not feature.get("boolean"):
                    other = (unknown[feature["name"]],) if feature["name"] in unknown else ()
                    found.append(ProbedColumn(schema["name"], place, feature.get("nullable", False), (), other))
        elif batch[schema["name"]].ndim == 2:
            width = batch[schema["name"]].shape[1]
            found += [ProbedColumn(schema["name"], place, schema.get("nullable", False)) for place in range(width)]
        elif batch[schema["name"]].ndim == 1:
            other = (unknown[schema["name"]],) if schema["name"] in unknown else ()
            values = tuple(schema.get("categories", ()))
            found.append(ProbedColumn(schema["name"], None, schema.get("nullable", False), values, other))
    return found


def _affordable(batch: Arrays, predict: Predict) -> int:
    count = len(next(iter(batch.values())))
    few = {name: array[: min(count, 100)] for name, array in batch.items()}
    start = time.perf_counter()
    predict(few)
    each = (time.perf_counter() - start) / min(count, 100)
    return int(max(LEAST, min(ROWS, SECONDS / max(each, 1e-9) / 4)))


def _pool(column: ProbedColumn, batch: Arrays, random: np.random.Generator) -> Array:
    """Values to mix into rows: the sample's, those between and around them, and what a client may send besides."""
    array = column.get(batch)
    if array.dtype.kind == "f":
        values = _numbers(array[np.isfinite(array)], random)
        values = np.append(values, column.unknown) if column.unknown else values
        return np.append(values, [np.nan] * max(1, len(values) // 10)) if column.nullable else values
    if array.dtype.kind in "iu" and not column.values:
        around = _numbers(array.astype(np.float64), random)
        limits = np.iinfo(array.dtype)
        return np.unique(np.clip(np.rint(around), limits.min, limits.max).astype(array.dtype))
    there = [value for value in array.tolist() if value is not None]
    distinct = list(column.values or dict.fromkeys(there))[:VALUES]
    if not column.values and distinct and isinstance(distinct[0], str):
        distinct += _texts(distinct, random)
    found: list[Any] = [*distinct, *column.unknown]
    found += [None] * max(1, len(found) // 10) if column.nullable else []
    pool = np.empty(len(found), object)
    pool[:] = found
    return pool if array.dtype.kind == "O" else pool.astype(array.dtype)


def _numbers(values: Array, random: np.random.Generator) -> Array:
    """Of the finite `values`: some, the middles between neighbours and between any two, and the neighbours in float32.

    The middles are also given with as many decimals as the sample has: a tree's threshold is the middle of two values,
    and other rows of the same grid may lie on it.
    """
    distinct = np.unique(values)
    if not len(distinct):
        return np.array([0.0, 1.0])
    some = random.choice(distinct, min(VALUES, len(distinct)), replace=False)
    near = (distinct[1:] + distinct[:-1]) / 2
    near = random.choice(near, min(VALUES, len(near)), replace=False) if len(near) else near
    any_two = (random.choice(distinct, VALUES // 2) + random.choice(distinct, VALUES // 2)) / 2
    width = float(distinct[-1] - distinct[0]) or max(1.0, abs(float(distinct[0])))
    beyond = np.array([distinct[0] - width / 10, distinct[-1] + width / 10])
    whole = np.concatenate([some, near, any_two, beyond])
    return np.concatenate([whole, np.round(whole, _decimals(distinct)), *_neighbours(some[:50])])


def _neighbours(values: Array) -> list[Array]:
    """The float32 next below and above each value, and itself as a float32, all as float64."""
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    found = [single, np.nextafter(single, np.float32(-np.inf)), np.nextafter(single, np.float32(np.inf))]
    return [array[np.isfinite(array)].astype(np.float64) for array in found]


def _decimals(values: Array) -> int:
    """As many decimals as all values have, at most 8."""
    return next((places for places in range(9) if np.allclose(np.round(values, places), values, rtol=0, atol=1e-12)), 8)


def _texts(distinct: list[str], random: np.random.Generator) -> list[str]:
    """Texts that are like none of the sample, and mixtures of its own words."""
    words = [word for text in distinct[:100] for word in text.split()] or ["a"]
    mixed = [" ".join(random.choice(words, random.integers(1, 12))) for _ in range(40)]
    some = [str(word) for word in random.choice(words, 24)]
    # A tokenizer may see the ends of words where another sees none.
    shapes = ("é{}", "{}ñ", "x_{}", "{}'s", "{0}-{0}", "3{}", "({})", "{},{}", "{}\t{}", "{}\u2028{}", "İ{}", "{}.")
    mixed += [shape.format(word, word) for shape, word in zip(shapes * 2, some, strict=True)]
    first = distinct[0]
    odd = [
        "",
        " ",
        "nan",
        first.upper(),
        first.lower(),
        f" {first}",
        f"{first} ",
        "Ünïcode Straße İ ñ 東京",
        "a\nb",
        "0",
        "1.5",
    ]
    return [*mixed, *odd, " ".join(random.choice(words, LONG // 4))[:LONG]]


def _mix(
    columns: list[ProbedColumn], batch: Arrays, pools: dict[ProbedColumn, Array], random: np.random.Generator, rows: int
) -> Arrays:
    """Rows of the sample with about half of their columns replaced."""
    places = random.integers(0, len(next(iter(batch.values()))), rows)
    mixed = {name: array[places] for name, array in batch.items()}
    for column in columns:
        replaced = random.random(rows) < SHARE
        pool = pools[column]
        if len(pool):
            column.get(mixed)[replaced] = pool[random.integers(0, len(pool), int(replaced.sum()))]
    return mixed


def _edges(
    columns: list[ProbedColumn],
    batch: Arrays,
    predict: Predict,
    pools: dict[ProbedColumn, Array],
    random: np.random.Generator,
    rows: int,
) -> Arrays:
    """Rows on both sides of where the answer changes as one number changes, found by halving."""
    numbers = [column for column in columns if column.get(batch).dtype.kind == "f"]
    each = min(EDGES, rows // (EDGE_SHARE * max(1, len(numbers))))
    if not numbers or not each:
        return {}
    count = each * len(numbers)
    places = random.integers(0, len(next(iter(batch.values()))), count)
    low, high = ({name: array[places] for name, array in batch.items()} for _ in range(2))
    owner = np.repeat(np.arange(len(numbers)), each)
    for number, column in enumerate(numbers):
        mine, pool = owner == number, pools[column][np.isfinite(pools[column])]
        column.get(low)[mine], column.get(high)[mine] = random.choice(pool, (2, each))
    start = predict(low)
    apart = ~compare(start, predict(high), 1e-9).agreeing
    for _ in range(HALVINGS):
        middle = {name: array.copy() for name, array in low.items()}
        for number, column in enumerate(numbers):
            mine = owner == number
            column.get(middle)[mine] = column.get(low)[mine] / 2 + column.get(high)[mine] / 2
        like_low = compare(start, predict(middle), 1e-9).agreeing
        for column in numbers:
            column.get(low)[like_low] = column.get(middle)[like_low]
            column.get(high)[~like_low] = column.get(middle)[~like_low]
    return _around(numbers, owner, low, high, apart)


def _around(numbers: list[ProbedColumn], owner: Array, low: Arrays, high: Arrays, apart: Array) -> Arrays:
    """The rows `low` and `high` that are `apart`, and those with the float32 neighbours of their number."""
    parts = []
    for side in (low, high):
        part = {name: array[apart] for name, array in side.items()}
        parts.append(part)
        for direction in (None, -np.inf, np.inf):
            moved = {name: array.copy() for name, array in part.items()}
            for number, column in enumerate(numbers):
                mine = owner[apart] == number
                with np.errstate(over="ignore"):
                    single = column.get(moved)[mine].astype(np.float32)
                single = single if direction is None else np.nextafter(single, np.float32(direction))
                column.get(moved)[mine] = np.where(np.isfinite(single), single, column.get(moved)[mine])
            parts.append(moved)
    return {name: np.concatenate([part[name] for part in parts]) for name in low}
