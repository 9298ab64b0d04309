"""A release's bundles before it starts: each as someone trusted has signed it, where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import StepError
from ..host.layout import Layout
from ..store import trusted_keys
from ..store.release import Release
from .public_keys import PublicKey, UnusableKeyError, read_keys
from .signature import SignatureError
from .signed_files import check_signed


def refuse_unsigned(layout: Layout, release: Release) -> None:
    """Raise StepError for a bundle on this host that is not as one of the trusted keys has signed it."""
    text = trusted_keys.read_text(layout)
    if text is None:
        return
    try:
        keys = read_keys(text)
    except UnusableKeyError as problem:
        raise StepError(f"{layout.trusted_keys} {problem}; deploy with site.yml, which writes it") from None
    for bundle in release.bundles:
        try:
            check_signed(Path(bundle["folder"]), keys)
        except SignatureError as problem:
            name, folder = f"{bundle['name']} version {bundle['version']}", bundle["folder"]
            raise StepError(
                f"release {release.id} is not started, because its bundle {name} is not what a trusted key has signed: "
                f"{problem}. Where it is right on the machine that deploys, remove {folder} here and deploy again, "
                f"which copies it. The keys are in {layout.trusted_keys}, from release_trusted_keys"
            ) from None


def first_unsigned(release: Release, keys: Sequence[PublicKey]) -> str | None:
    """Say of which bundle of the release none of the keys has signed what is there; None where all are signed."""
    for bundle in release.bundles:
        try:
            check_signed(Path(bundle["folder"]), keys)
        except (SignatureError, OSError) as problem:
            return f"{bundle['name']} version {bundle['version']}: {str(problem).partition(',')[0].partition(':')[0]}"
    return None
