"""A process in which only that can be imported which the server's image has; run as a file, not imported.

It reads what it may import as JSON from its standard input (see server_image.py) and runs a module of this
package. It imports nothing but the standard library: what it hides is not there yet.
"""

import importlib.machinery
import importlib.util
import json
import runpy
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path
from types import ModuleType
from typing import Any


class ImageFinder(MetaPathFinder):
    """Finds the standard library, and each top-level module where the distribution lies that the image has too."""

    def __init__(self, modules: dict[str, str], distributions: Iterable[str]) -> None:
        self._modules = modules  # where each top-level module lies
        self._distributions = frozenset(distributions)  # their normalized names
        self._standard = [path for path in sys.path if not {"site-packages", "dist-packages"} & set(Path(path).parts)]
        sys.path += [place for place in dict.fromkeys(modules.values()) if place not in sys.path]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As Python's own finders do, but for what the image does not have."""
        if path is not None:
            return PathFinder.find_spec(fullname, path, target)
        place = self._modules.get(fullname)
        return PathFinder.find_spec(fullname, self._standard if place is None else [place], target)

    def find_distributions(self, context: Any = DistributionFinder.Context()) -> Iterator[Distribution]:  # noqa: B008
        """The metadata of what the image has, for who asks for versions or plugins."""
        for found in PathFinder.find_distributions(context):
            if found.name.lower().replace("_", "-").replace(".", "-") in self._distributions:
                yield found


def main() -> None:
    """Hide what the image does not have, and run the module."""
    asked = json.load(sys.stdin)
    sys.dont_write_bytecode = True
    if asked["modules"] is not None:
        finder = ImageFinder(asked["modules"], asked["distributions"])
        # Without hooks of editable installs and the like, which find what no other machine has.
        sys.meta_path[:] = [BuiltinImporter, FrozenImporter, finder]
    _import_from("modelhost", asked["package"])
    sys.argv[1:] = asked["arguments"]
    runpy.run_module(asked["run"], run_name="__main__")


def _import_from(name: str, directory: str) -> None:
    """Import the package `name` from its directory, and nothing else that lies beside it."""
    spec = importlib.util.spec_from_file_location(
        name, str(Path(directory, "__init__.py")), submodule_search_locations=[directory]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


if __name__ == "__main__":
    main()
