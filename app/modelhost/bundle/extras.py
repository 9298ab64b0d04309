"""What the server's image needs for a bundle beside its own packages.

Each extra is called as in app/pyproject.toml, and has a lock file of that name in app/locks.
"""

from modelhost.bundle.schema import Manifest

# Formats that the server reads with what it always has.
WITHOUT = {"onnx", "python"}
# Formats whose own library does not bring the data frames that some of their models take.
WITHOUT_FRAMES = {"lightgbm", "xgboost"}


def extras_of(manifest: Manifest) -> list[str]:
    """The extras for the format, the libraries named beside it, and data frames; sorted."""
    needed: set[str] = set(manifest.libraries) | ({manifest.format} - WITHOUT)
    if manifest.table == "frame" and manifest.format in WITHOUT_FRAMES:
        needed.add("pandas")
    return sorted(needed)


def modules_of(manifest: Manifest) -> list[str]:
    """The modules to import for it beside the format's own runtime; sorted."""
    return [extra for extra in extras_of(manifest) if extra != manifest.format]
