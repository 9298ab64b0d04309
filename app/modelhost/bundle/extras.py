"""What the server's image needs for a bundle beside its own packages.

Each extra is called as in app/pyproject.toml, and has a lock file of that name in app/locks.
"""

from .schema import Manifest

# Formats that the server reads with what it always has.
WITHOUT = {"onnx", "python"}
# Libraries that are in an extra of another name, and those whose module has another.
EXTRAS = {"scikit-learn": "pickle"}
MODULES = {"scikit-learn": "sklearn"}


def extras_of(manifest: Manifest) -> list[str]:
    """The extras for the format and for the libraries named beside it; sorted."""
    return sorted({EXTRAS.get(library, library) for library in manifest.libraries} | ({manifest.format} - WITHOUT))


def modules_of(manifest: Manifest) -> list[tuple[str, str]]:
    """The modules to import for it beside the format's own runtime, and the extra that each is in; sorted."""
    beside = sorted(set(manifest.libraries) - {manifest.format})
    return [(MODULES.get(library, library), EXTRAS.get(library, library)) for library in beside]
