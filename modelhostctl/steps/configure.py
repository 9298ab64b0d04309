"""Leave on this host what a rollback from here needs: the settings of the deployment, and a little space."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ..store import reserve
from ..store.atomic_files import read_json, write_json
from .step import LOCK, Step

OPTIONS = [LOCK]


def run(step: Step) -> dict[str, Any]:
    """Write the settings, unless they are there; returns `diff`."""
    layout, wanted = step.host.layout, asdict(step.settings)
    before = read_json(layout.settings)
    if not step.check_mode:
        reserve.keep(layout)
    if before == wanted:
        return {}
    if not step.check_mode:
        write_json(layout.settings, wanted)
    headers = {"before_header": str(layout.settings), "after_header": str(layout.settings)}
    return {"changed": True, "diff": {"before": _text(before), "after": _text(wanted), **headers}}


def _text(settings: Any) -> str:
    return json.dumps(settings, indent=2, sort_keys=True) + "\n" if settings else ""
