"""Estimators that compute on one thread: a server runs requests in parallel already."""

from typing import Any

NAMES = ("n_jobs", "thread_count", "num_threads", "nthread")
DEEPEST = 12


def limit_to_one_thread(estimator: Any) -> Any:
    """`estimator`, changed in place: every estimator inside it runs on one thread. Answers do not depend on it."""
    _limit(estimator, DEEPEST, set())
    return estimator


def _limit(part: Any, depth: int, seen: set[int]) -> None:
    if depth == 0 or id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, list | tuple):
        for inner in part:
            _limit(inner, depth - 1, seen)
    elif isinstance(part, dict):
        for inner in part.values():
            _limit(inner, depth - 1, seen)
    elif hasattr(part, "get_params") and hasattr(part, "__dict__"):
        for name in NAMES:
            if vars(part).get(name) not in (None, 1):
                setattr(part, name, 1)
        for inner in list(vars(part).values()):
            _limit(inner, depth - 1, seen)
