"""Bundles that a command is given: their own directories, or those of models, which have versions."""

from pathlib import Path

from modelhost.bundle.bundle import MANIFEST
from modelhost.cli.reports import CommandError, progress


def latest_bundle(path: Path) -> Path:
    """The bundle at `path`, or of the versions in it the highest, which is said; raises CommandError for more models.

    What is neither is returned as it is, for `read_bundle` to refuse.
    """
    if (path / MANIFEST).exists():
        return path
    versions = [manifest.parent for manifest in path.glob(f"*/{MANIFEST}")]
    if versions:
        latest = max(versions, key=lambda version: (version.name.isdecimal() and int(version.name), version.name))
        progress(f"{path} has {len(versions)} version{'s' * (len(versions) > 1)}: taking the latest, {latest}")
        return latest
    if models := sorted(manifest.parents[1] for manifest in path.glob(f"*/*/{MANIFEST}")):
        raise CommandError(f"{path} is a directory of models: name one of them, such as {models[0]}")
    return path
