"""Leave on this host the public keys whose signatures every bundle has to carry; none: bundles need no signature.

They hold from now on: also for a rollback, and where the deployment that brought them is refused later.
"""

from __future__ import annotations

from typing import Any

from ..checks.public_keys import UnusableKeyError, read_keys
from ..errors import StepError
from ..options import Option
from ..store import trusted_keys
from .step import LOCK, Step

OPTIONS = [
    Option("keys", "public keys in PEM, one after the other; empty: no signature is asked for", default=""),
    LOCK,
]


def run(step: Step) -> dict[str, Any]:
    """Write them, unless they are there; returns `diff`."""
    layout, wanted = step.host.layout, step.options["keys"].strip()
    if wanted:
        try:
            wanted = "".join(key.pem for key in read_keys(wanted))
        except UnusableKeyError as problem:
            raise StepError(f"keys {problem}") from None
    before = trusted_keys.read_text(layout) or ""
    if before == wanted:
        return {}
    if not step.check_mode:
        trusted_keys.keep(layout, wanted)
    headers = {"before_header": str(layout.trusted_keys), "after_header": str(layout.trusted_keys)}
    return {"changed": True, "diff": {"before": before, "after": wanted, **headers}}
