"""What the server's image needs for a bundle beside its own packages.

Each extra is called as in app/pyproject.toml, and has a lock file of that name in app/locks.
"""

from modelhost.bundle.schema import Manifest

# Formats that the server reads with what it always has.
WITHOUT = {"onnx", "python"}
# Libraries that are in an extra of another name, and those whose module has another.
EXTRAS = {"scikit-learn": "pickle"}
MODULES = {"scikit-learn": "sklearn"}
# Formats whose own library does not bring the data frames that some of their models take.
WITHOUT_FRAMES = {"lightgbm", "xgboost"}


def extras_of(manifest: Manifest) -> list[str]:
    """The extras for the format, the libraries named beside it, and data frames; sorted."""
    needed = {EXTRAS.get(library, library) for library in manifest.libraries} | ({manifest.format} - WITHOUT)
    if manifest.table == "frame" and manifest.format in WITHOUT_FRAMES:
        needed.add("pandas")
    return sorted(needed)


def modules_of(manifest: Manifest) -> list[tuple[str, str]]:
    """The modules to import for it beside the format's own runtime, and the extra that each is in."""
    found = {library: EXTRAS.get(library, library) for library in manifest.libraries}
    if "pandas" in extras_of(manifest):
        found["pandas"] = "pandas"
    return [(MODULES.get(library, library), found[library]) for library in sorted(found) if library != manifest.format]
