"""Tables as people have them: numbers of every scale, categories, digits that are text, booleans, sentences, gaps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

NUMBERS = (
    "age", "income (EUR)", "ratio [%]", "Höhe", "size.cm", "label", "inputs", "x1", "Größe in cm", "days since",
    "price/unit", "n_rooms", "score", "température", "a<b", "weight, kg", "index", "2nd", "max-speed", "prediction",
)  # fmt: skip
CATEGORIES = (
    "city",
    "plan type",
    "zip",
    "browser",
    "farbe",
    "payment.method",
    "outputs",
    "région",
    "class [old]",
    "day",
)
FLAGS = ("is active", "newsletter", "has_car", "über18")
WORDS = {
    "cities": ("Bern", "Genève", "Zürich", "New York", "São Paulo", "Łódź"),
    "plans": ("free", "basic", "pro", "enterprise (yearly)"),
    "digits": ("007", "042", "118", "900", "015"),
    "browsers": ("Firefox", "Chrome", "Safari", "Edge", "other", "IE 6", "Opera, mini"),
    "letters": ("A", "B", "C"),
    "quoted": ('the "best"', "it's", "n/a-ish", "50 %", "yes & no"),
}
VOCABULARY = (
    "good", "bad", "great", "poor", "fast", "love", "service", "product", "price", "slow", "delivery", "never", "again",
    "always", "hate", "broken", "works", "fine", "refund", "customer", "support", "phone", "battery", "screen", "très",
    "bien", "nicht", "gut", "café", "5", "stars!", "ok,", "the", "a", "of", "and", "not", "very",
)  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column: `kind` is the way of its numbers, the name of its words, "flag" or "text"."""

    name: str
    kind: str
    scale: float = 1.0
    missing: float = 0.0
    dtype: str = ""  # of text: str (pandas' own), object or category

    def draw(self, rng: Any, rows: int, unknown: float = 0.0) -> tuple[pd.Series, Any]:
        """The column, and what it means for the target: (rows,) floats of unit size."""
        values, meaning = self._values(rng, rows)
        if unknown and self.kind in WORDS and self.dtype != "category":
            values[rng.random(rows) < unknown] = "never seen"
        series = pd.Series(values, dtype=self._dtype(), name=self.name)
        if self.missing:
            gaps = rng.random(rows) < self.missing
            series = series.astype(object) if series.dtype == bool else series
            series = series.mask(gaps)
        return series, meaning

    def _dtype(self) -> Any:
        if self.kind in WORDS and self.dtype == "category":
            return pd.CategoricalDtype(sorted(WORDS[self.kind]))
        return {"": None}.get(self.dtype, self.dtype)

    def _values(self, rng: Any, rows: int) -> tuple[Any, Any]:
        if self.kind in WORDS:
            words = WORDS[self.kind]
            places = np.minimum(rng.geometric(0.4, rows) - 1, len(words) - 1)
            return np.array(words, dtype=object)[places], places / len(words) * 2 - 0.5
        if self.kind == "flag":
            flags = rng.random(rows) < 0.4
            return flags, flags * 1.0
        if self.kind == "text":
            chosen = [rng.choice(VOCABULARY, rng.integers(1, 14)) for _ in range(rows)]
            meaning = [float(np.isin(words, VOCABULARY[:6]).sum() - 0.5) for words in chosen]
            return np.array([" ".join(words) for words in chosen], dtype=object), np.array(meaning)
        if self.kind == "integers":
            values = rng.integers(0, 60, rows)
            return values, values / 30 - 1
        if self.kind == "rounded":
            values = np.round(rng.uniform(0, 100, rows) * self.scale, 1)
            return values, values / self.scale / 50 - 1
        if self.kind == "positive":
            values = rng.lognormal(1, 0.8, rows)
            return values * self.scale, np.log(values) - 1
        values = rng.normal(0, 1, rows)
        return values * self.scale, values

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers."""
        return self.kind in ("integers", "rounded", "positive", "normal")


@dataclass(frozen=True)
class Table:
    """Columns, and how each weighs in the target."""

    columns: tuple[Column, ...]
    weights: tuple[float, ...]

    def draw(self, rng: Any, rows: int, unknown: float = 0.0) -> tuple[pd.DataFrame, Any]:
        """A data frame, and a score (rows,) that a model can learn."""
        drawn = [column.draw(rng, rows, unknown) for column in self.columns]
        score = sum(weight * meaning for weight, (_, meaning) in zip(self.weights, drawn, strict=True))
        return pd.DataFrame({series.name: series for series, _ in drawn}), score + rng.normal(0, 0.5, rows)

    def of(self, *kinds: str) -> list[Column]:
        """The columns of these kinds: number, words, flag, text."""
        return [
            c for c in self.columns if ("number" if c.is_number else "words" if c.kind in WORDS else c.kind) in kinds
        ]


def draw_table(rng: Any, words: bool = True, flags: bool = True, text: bool = False, clean: bool = False) -> Table:
    """A random table; with `clean` the names have no sign that XGBoost or LightGBM refuse."""
    names = [name for name in NUMBERS if not clean or not set(name) & set('[]<>,"{}:')]
    columns = [_number(rng, name) for name in rng.choice(names, rng.integers(2, 7), replace=False)]
    if words:
        names = [name for name in CATEGORIES if not clean or not set(name) & set('[]<>,"{}:')]
        columns += [_words(rng, name) for name in rng.choice(names, rng.integers(1, 4), replace=False)]
    if flags:
        columns += [
            Column(str(name), "flag", missing=float(rng.choice([0, 0, 0.1])))
            for name in rng.choice(FLAGS, rng.integers(0, 3), replace=False)
        ]
    if text:
        columns.append(Column(str(rng.choice(["comment", "free text", "Bemerkung"])), "text"))
    order = rng.permutation(len(columns))
    weights = rng.normal(0, 1, len(columns))
    return Table(tuple(columns[place] for place in order), tuple(weights.tolist()))


def _number(rng: Any, name: str) -> Column:
    kind = str(rng.choice(["normal", "normal", "integers", "rounded", "positive"]))
    scale = float(rng.choice([1, 1, 1, 1000, 1e6, 1e-3, 1e-6]))
    return Column(str(name), kind, scale, float(rng.choice([0, 0, 0.05, 0.2])))


def _words(rng: Any, name: str) -> Column:
    kind = "digits" if name == "zip" else str(rng.choice(list(WORDS)))
    return Column(
        str(name),
        kind,
        missing=float(rng.choice([0, 0, 0.1])),
        dtype=str(rng.choice(["str", "str", "object", "category"])),
    )
