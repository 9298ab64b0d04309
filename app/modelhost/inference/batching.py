"""One call of a model for several requests, in a thread; where it fails, each of them alone.

What is wrong with one of them, whatever it raises, is that one's error and no one else's.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from modelhost.inference.queue import Job, Result, result_of
from modelhost.models.model import Model
from modelhost.payload.contents import own_copies
from modelhost.payload.datatypes import Arrays, grouped, stack
from modelhost.payload.errors import ClientError, ModelError


def compute(model: Model, jobs: list[Job]) -> list[Result]:
    """What each job gives or raises."""
    results: list[Result] = [(None, None)] * len(jobs)
    for places in grouped([job.inputs for job in jobs]):  # rows of other sizes cannot be in one array
        group = [jobs[place] for place in places]
        together = _together(model, group) if len(group) > 1 else None
        for number, place in enumerate(places):
            results[place] = (together[number], None) if together else result_of(_call(model, jobs[place]))
    try:
        return results
    finally:
        del results  # see result_of


def _together(model: Model, jobs: list[Job]) -> list[Arrays] | None:
    """The outputs of each job from one call for all; None where that fails, and one may be why."""
    try:  # with copies, since each job's own inputs may be needed once more
        outputs = model.predict(own_copies(stack([job.inputs for job in jobs])))
    except (ClientError, ModelError, RecursionError):  # the last of JSON too deep to be copied
        return None
    parts, start = [], 0
    for job in jobs:
        parts.append({name: array[start : start + job.rows] for name, array in outputs.items()})
        start += job.rows
    return parts


def _call(model: Model, job: Job) -> Callable[[], Any]:
    return job.call or partial(model.predict, job.inputs)
