"""What the user's own calls answer, and whether the server's answers are the same, row by row."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .case import BATCH, Case, plain

TOLERANCE = 1e-4
# Which of the user's calls an output stands for. Any other name must answer like one of the calls.
CALLS = {
    "label": ("predict",),
    "prediction": ("predict", "score_samples"),
    "probabilities": ("predict_proba",),
    "transformed": ("transform",),
}


@dataclass
class Expected:
    """For each call an array with rows first, or a list of them (several targets); and which rows the model refuses."""

    answers: dict[str, Any]
    raises: Any  # (rows,) bool
    needed: tuple[str, ...]


def ask_user(case: Case) -> Expected:
    """The answers to the fresh rows; those for which the model raises are found by halving.

    The rows are asked in the batches in which the server gets them: some models' answers depend on the rows sent
    together, such as MiniBatchNMF's, which stops when all of them have converged.
    """
    raises = np.zeros(len(case.rows), bool)
    kept: dict[str, list[Any]] = {}

    def ask(start: int, end: int) -> None:
        try:
            taken = case.takes(case.rows.iloc[start:end])
            answers = {name: _arrays(call(taken)) for name, call in case.calls.items()}
        except Exception:
            if end - start == 1:
                raises[start] = True
                return
            middle = (start + end) // 2
            ask(start, middle)
            ask(middle, end)
            return
        for name, answer in answers.items():
            kept.setdefault(name, []).append(answer)

    for first in range(0, len(case.rows), BATCH):
        ask(first, min(first + BATCH, len(case.rows)))
    if raises.mean() > 0.5:
        for call in case.calls.values():
            call(case.takes(case.rows))  # one of them says why
    return Expected({name: _joined(parts) for name, parts in kept.items()}, raises, case.needed or ())


def _arrays(answer: Any) -> Any:
    if isinstance(answer, list | tuple):  # one for each target
        return [_arrays(part) for part in answer]
    return np.asarray(answer.toarray() if hasattr(answer, "toarray") else answer)


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], list):
        return [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    return np.concatenate(parts)


@dataclass
class Verdict:
    """How many rows were answered how, with the first few that were not as they should be."""

    equal: int = 0
    wrong: int = 0
    refused: int = 0  # 4xx for a row that the model takes
    failed: int = 0  # 5xx
    lacks: list[str] = field(default_factory=list)  # calls of the user that no output answers
    examples: list[dict[str, Any]] = field(default_factory=list)
    said: str = ""


Post = Callable[[list[dict[str, Any]]], tuple[int, Any]]


def judge(post: Post, rows: list[dict[str, Any]], expected: Expected, batch: int) -> Verdict:
    """Send `rows` in batches; `post` gives the status and the parsed answer."""
    verdict = Verdict()
    predictions: list[dict[str, Any] | None] = [None] * len(rows)
    statuses = [0] * len(rows)

    def send(places: list[int]) -> None:
        status, answer = post([rows[place] for place in places])
        if status == 200:
            for place, prediction in zip(places, answer["predictions"], strict=True):
                predictions[place], statuses[place] = prediction, 200
        elif len(places) > 1 and (status >= 500 or sum(s >= 400 for s in statuses) < 3 * batch):
            middle = len(places) // 2
            send(places[:middle])
            send(places[middle:])
        else:
            for place in places:
                statuses[place] = status
            verdict.said = verdict.said or f"{status}: {_sentence(answer)}"
            _tell(verdict, row=rows[places[0]], got=f"{status}: {_sentence(answer)}")

    taken = [place for place in range(len(rows)) if not expected.raises[place]]
    for start in range(0, len(taken), batch):
        send(taken[start : start + batch])
    for place in np.flatnonzero(expected.raises).tolist():  # one by one: each must be refused
        status, answer = post([rows[place]])
        predictions[place], statuses[place] = (answer["predictions"][0] if status == 200 else None), status
    equal = _equal_rows(predictions, expected, verdict)
    for place, status in enumerate(statuses):
        if expected.raises[place]:
            kind = "equal" if 400 <= status < 500 else "failed" if status >= 500 else "wrong"
        else:
            kind = "refused" if 400 <= status < 500 else "failed" if status >= 500 else equal[place]
        setattr(verdict, kind, getattr(verdict, kind) + 1)
        if kind == "wrong" and expected.raises[place]:
            _tell(verdict, row=rows[place], got=predictions[place], expected="the model raises")
        elif kind == "wrong":
            _tell(verdict, row=rows[place], got=predictions[place], expected=_shown(expected, place))
    return verdict


def _equal_rows(predictions: list[dict[str, Any] | None], expected: Expected, verdict: Verdict) -> list[str]:
    """For each row "equal" or "wrong"; all outputs must answer as a call does, and what is needed must be there."""
    answered = np.array([prediction is not None for prediction in predictions]) & ~expected.raises
    if not answered.any():
        return ["wrong"] * len(predictions)
    places = np.flatnonzero(answered)
    given = [predictions[place] for place in places.tolist()]
    rank = np.cumsum(~expected.raises) - 1  # of a row among those that the model takes
    candidates = _candidates(expected.answers, rank[places])
    equal = np.ones(len(places), bool)
    covered: set[str] = set()
    for name in given[0] or {}:
        values = [prediction.get(name) if prediction else None for prediction in given]
        match, same = _best(name, values, candidates, covered)
        covered.add(match)
        equal &= same
    verdict.lacks = [name for name in expected.needed if not _is_covered(name, candidates, covered)]
    found = np.array(["wrong"] * len(predictions), dtype=object)
    found[places[equal]] = "equal"
    return found.tolist()


def _candidates(answers: dict[str, Any], rows: Any) -> dict[str, Any]:
    """What an output may be equal to: an answer, one of its columns, or those of several targets stacked."""
    found: dict[str, Any] = {}
    for name, answer in answers.items():
        if isinstance(answer, list):
            parts = [part[rows] for part in answer]
            found |= {f"{name}[{place}]": part for place, part in enumerate(parts)}
            if len({part.shape for part in parts}) == 1:
                found[f"{name}*"] = np.stack(parts, axis=1)
            if all(part.ndim == 2 and part.shape[1] == 2 for part in parts):
                found[f"{name}* of the second class"] = np.stack([part[:, 1] for part in parts], axis=1)
            continue
        found[name] = answer[rows]
        if found[name].ndim == 2 and found[name].shape[1] == 1:
            found[f"{name}*"] = found[name][:, 0]
        elif found[name].ndim == 2 and found[name].shape[1] <= 20:
            found |= {f"{name}[{column}]": found[name][:, column] for column in range(found[name].shape[1])}
    return found


def _is_covered(name: str, candidates: dict[str, Any], covered: set[str]) -> bool:
    """Whether outputs answer a call: one of them the whole, or each a part."""
    parts = {key for key in candidates if key.startswith(f"{name}[")}
    return any(key == name or key.startswith(f"{name}*") for key in covered) or (bool(parts) and parts <= covered)


def _best(name: str, values: list[Any], candidates: dict[str, Any], covered: set[str]) -> tuple[str, Any]:
    """The call that an output stands for, and which rows are equal to it; of equals, one that no other stands for."""
    own = [key for key in candidates if re.split(r"[*[]", key)[0] in CALLS.get(name, ())]
    found = [(key, _same(values, candidates[key], exact=key.startswith("predict"))) for key in own or candidates]
    nothing = ("", np.zeros(len(values), bool))
    return max(found, key=lambda pair: (pair[1].sum(), pair[0] not in covered), default=nothing)


def _same(values: list[Any], wanted: Any, exact: bool) -> Any:
    """(rows,) bool. Numbers within TOLERANCE; labels equal in value and type."""
    if wanted.dtype.kind == "f" or (wanted.dtype.kind in "iub" and not exact):
        try:
            got = np.array(values, dtype=object)
            if got.shape != wanted.shape or (any(type(value) in (bool, str) for value in got.flat) and exact):
                return np.zeros(len(values), bool)
            got, sure = got.astype(float), wanted.astype(float)
        except (TypeError, ValueError):
            return np.zeros(len(values), bool)
        with np.errstate(invalid="ignore"):
            close = np.abs(got - sure) <= TOLERANCE * np.maximum(1, np.abs(sure))
        close |= np.isnan(got) & ~np.isfinite(sure)  # JSON has null for both
        return close.reshape(len(values), -1).all(axis=1)
    return np.array([_identical(value, sure) for value, sure in zip(values, wanted.tolist(), strict=True)], dtype=bool)


def _identical(value: Any, wanted: Any) -> bool:
    wanted = plain(wanted)
    if isinstance(wanted, list):
        parts = isinstance(value, list) and len(value) == len(wanted)
        return parts and all(map(_identical, value, wanted))
    if isinstance(wanted, float) and isinstance(value, float):
        return abs(value - wanted) <= TOLERANCE * max(1, abs(wanted))
    return type(value) is type(wanted) and bool(value == wanted)


def _shown(expected: Expected, place: int) -> dict[str, Any]:
    rank = int((~expected.raises[:place]).sum())
    return {
        name: [part[rank].tolist() for part in answer] if isinstance(answer, list) else answer[rank].tolist()
        for name, answer in expected.answers.items()
        if name in expected.needed
    }


def _sentence(answer: Any) -> str:
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    return str(error.get("message", error) if isinstance(error, dict) else error)[:400]


def _tell(verdict: Verdict, **example: Any) -> None:
    if len(verdict.examples) < 3:
        verdict.examples.append(example)
