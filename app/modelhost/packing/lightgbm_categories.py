"""Which columns LightGBM was trained on as pandas' categories.

Its models keep the values of those columns, in the columns' order, and not which columns they are: integers may be
categories without pandas, and a category that has an order is a number to the trees. But the range of what each column
held is there, and a category went in as the place of its value: so the values are laid on the columns in the way that
explains most of the sample.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from modelhost.packing.errors import PackError
from modelhost.packing.samples import Sample, present

NEVER = float("-inf")


def pandas_categories(booster: Any, sample: Sample, names: Sequence[str | None]) -> dict[int, tuple[Any, ...]]:
    """The values of each column of pandas' category, by its place among the `names` that arrive at the booster.

    A name is None where it is not known what arrives. Raises PackError where the values fit on several columns that
    would be read differently.
    """
    lists = [tuple(values) for values in booster.pandas_categorical or []]
    seen = _seen(booster)
    if not lists or len(names) != len(seen):
        return {}
    columns = [_Column(sample, name, known) for name, known in zip(names, seen, strict=True)]
    layout = _Layout(columns, lists)
    if layout.best == NEVER:
        raise PackError(
            f"no columns of the sample hold the categories that the model was trained on, {_described(lists)}: "
            "write them as the training data had them"
        )
    if column := layout.undecided():
        raise PackError(
            f"the model does not say whether {column.name} was one of pandas' categories {_described(lists)}, "
            "and its values may be either: train with categories of text, which can be told from numbers"
        )
    return layout.chosen()


def _described(lists: list[tuple[Any, ...]]) -> str:
    return " and ".join(str(list(values[:6]))[:-1] + (", ...]" if len(values) > 6 else "]") for values in lists)


@dataclass(frozen=True)
class _Seen:
    """What a column held in training: `values`, if the trees split it by category, or numbers between two ends."""

    values: frozenset[int] | None = None
    ends: tuple[float, float] = (NEVER, -NEVER)
    used: bool = True

    def holds(self, value: Any) -> bool:
        return value in self.values if self.values is not None else self.ends[0] <= value <= self.ends[1]

    def codes_of(self, count: int) -> bool:
        """Whether it may be the places of `count` values."""
        if self.values is not None:
            return all(value < count for value in self.values)
        return not self.used or (self.ends[0] >= 0 and self.ends[1] < count and not any(end % 1 for end in self.ends))


def _seen(booster: Any) -> list[_Seen]:
    """By column, from words such as [0.5:7] for numbers, -1:3:0 for categories and `none` for what no tree can use."""
    written = re.search(r"^feature_infos=(.*)$", booster.model_to_string(num_iteration=1), re.MULTILINE)
    found = []
    for word in written[1].split() if written else []:
        parts = word.strip("[]").split(":")
        if word == "none":
            found.append(_Seen(used=False))
        elif word.startswith("["):
            found.append(_Seen(ends=(float(parts[0]), float(parts[1]))))
        else:
            found.append(_Seen(values=frozenset(map(int, parts))))
    return found


@dataclass(frozen=True)
class _Column:
    """A column of the sample and what the model saw there."""

    sample: Sample
    name: str | None
    seen: _Seen

    @cached_property
    def cells(self) -> Counter[Any]:
        """How often each value is there."""
        return Counter(present(self.sample.columns[self.name]).tolist() if self.name else [])

    @cached_property
    def texts(self) -> Counter[str]:
        """The same, of the cells as they were written."""
        return Counter(present(self.sample.as_text(self.name)).tolist() if self.name else [])

    @property
    def may_be_number(self) -> bool:
        return not any(isinstance(value, str) for value in self.cells)

    def codes(self, values: tuple[Any, ...] | None) -> dict[Any, int | None]:
        """What the trees get for each cell: the place of its value, or itself where the column is no category."""
        if values is None:
            return {cell: cell for cell in self.cells}
        places = {value: place for place, value in enumerate(values)}
        if any(isinstance(value, str) for value in values):
            return {cell: places.get(cell) for cell in self.texts}
        numbers = all(isinstance(value, bool) for value in values) or not any(type(c) is bool for c in self.cells)
        return {cell: places.get(cell) if numbers else None for cell in self.cells}

    def explained(self, values: tuple[Any, ...] | None) -> float:
        """How many cells can be what the model was trained on, if these are its categories; NEVER if it cannot be."""
        if values is None:
            fits = self.may_be_number
            return sum(n for cell, n in self.cells.items() if self.seen.holds(cell)) if fits else NEVER
        counted = self.texts if any(isinstance(value, str) for value in values) else self.cells
        known = sum(counted[cell] for cell, code in self.codes(values).items() if code is not None)
        return known if self.seen.codes_of(len(values)) and (known or not counted) else NEVER


class _Layout:
    """All ways to lay lists of categories on columns, in their order, by how many cells they explain."""

    def __init__(self, columns: list[_Column], lists: list[tuple[Any, ...]]) -> None:
        self._columns, self._lists = columns, lists
        width = range(len(lists) + 1)
        self._before = [[NEVER] * len(width) for _ in range(len(columns) + 1)]
        self._after = [[NEVER] * len(width) for _ in range(len(columns) + 1)]
        self._before[0][0] = self._after[-1][-1] = 0.0
        self._explained = [[column.explained(values) for values in (*lists, None)] for column in columns]
        for place in range(len(columns)):
            for laid in width:
                for step, count in self._steps(place, laid):
                    score = self._before[place][laid] + count
                    self._before[place + 1][laid + step] = max(self._before[place + 1][laid + step], score)
        for place in reversed(range(len(columns))):
            for laid in width:
                scores = [self._after[place + 1][laid + step] + count for step, count in self._steps(place, laid)]
                self._after[place][laid] = max(scores)

    @property
    def best(self) -> float:
        """The most cells that a way explains."""
        return self._after[0][0]

    def _steps(self, place: int, laid: int) -> list[tuple[int, float]]:
        """Whether the next list may be laid on the column, 1 or 0, and how many cells that explains."""
        laying = [(1, self._explained[place][laid])] if laid < len(self._lists) else []
        return [*laying, (0, self._explained[place][-1])]

    def _best_steps(self, place: int, laid: int) -> list[int]:
        """The steps that are part of a best way."""
        before, after = self._before[place][laid], self._after[place + 1]
        return [step for step, count in self._steps(place, laid) if before + count + after[laid + step] == self.best]

    def undecided(self) -> _Column | None:
        """A column that is sent as it arrives, and that the best ways read differently."""
        for place, column in enumerate(self._columns):
            ways = {self._lists[laid] if step else None
                    for laid in range(len(self._lists) + 1) for step in self._best_steps(place, laid)}  # fmt: skip
            read = {tuple(sorted(column.codes(way).items(), key=str)) for way in ways}
            matters = column.name is not None and column.seen.used
            if matters and len(ways) > 1 and (len(read) > 1 or not column.cells):
                return column
        return None

    def chosen(self) -> dict[int, tuple[Any, ...]]:
        """A best way: of those that read the sample alike, that with the categories where trees split by category."""
        found: dict[int, tuple[Any, ...]] = {}
        for place, column in enumerate(self._columns):
            steps = self._best_steps(place, len(found))
            if 1 in steps and (0 not in steps or column.seen.values is not None):
                found[place] = self._lists[len(found)]
        return found
