"""Leave on this host what is needed later: for a rollback the settings of the deployment and a little space, and for
whoever asks what is served a list of what is in each image (SBOM).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ..errors import StepError
from ..store import reserve, sboms
from ..store.atomic_files import read_json, write_json
from .step import LOCK, Step

OPTIONS = [LOCK]


def run(step: Step) -> dict[str, Any]:
    """Write what is not there yet; returns `diff` of the settings, and of which image it is not known what is in it."""
    layout, wanted = step.host.layout, asdict(step.settings)
    before = read_json(layout.settings)
    if not step.check_mode:
        reserve.keep(layout)
    listed, problems = _keep_lists(step)
    unlisted = {"progress": problems} if problems else {}
    if before == wanted:
        return {"changed": listed, **unlisted}
    if not step.check_mode:
        write_json(layout.settings, wanted)
    headers = {"before_header": str(layout.settings), "after_header": str(layout.settings)}
    diff = {"before": _text(before), "after": _text(wanted), **headers}
    return {"changed": True, **unlisted, "diff": diff}


def _keep_lists(step: Step) -> tuple[bool, list[str]]:
    """Whether any list is new, or would be, and of which image it is not known what is in it."""
    if not step.check_mode:
        return sboms.keep_of_images(step.host)
    try:
        return bool(sboms.missing_images(step.host)), []
    except StepError:  # on a bare host there is no engine yet
        return False, []


def _text(settings: Any) -> str:
    return json.dumps(settings, indent=2, sort_keys=True) + "\n" if settings else ""
